//! Log lines for CloudWatch: one JSON object a line, or plain text, as Lambda's settings say.
//!
//! Lambda only sets `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL` for an OS-only runtime; honouring them is up to
//! the program (<https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-advanced.html>). This layer is our
//! own because a record has to be in the line as JSON, not as a text full of backslashes, and because the request id must
//! be there at every level. Of other crates only warnings get through, however low the level: at DEBUG they print
//! requests.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

/// The target of records about writes, made or about to be. No level turns these off: without them nobody could say what
/// was done.
pub const EVIDENCE: &str = "remediation::evidence";

/// Starts logging to standard output for the whole process; does nothing if logging was started before.
pub fn start(variable: impl Fn(&str) -> Option<String>) {
    let lines = Lines::new(&variable);
    // Only fails if there is a subscriber already, and then that one is the process's choice.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
}

struct Lines {
    json: bool,
    level: LevelFilter,
}

impl Lines {
    fn new(variable: &impl Fn(&str) -> Option<String>) -> Self {
        let is = |name: &str, value: &str| variable(name).is_some_and(|v| v.eq_ignore_ascii_case(value));
        let level = variable("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default().to_ascii_uppercase();
        Self {
            json: !is("AWS_LAMBDA_LOG_FORMAT", "text"),
            level: match level.as_str() {
                // The runtime prints whole events at TRACE.
                "TRACE" | "DEBUG" => LevelFilter::DEBUG,
                "WARN" => LevelFilter::WARN,
                "ERROR" | "FATAL" => LevelFilter::ERROR,
                _ => LevelFilter::INFO,
            },
        }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            return true; // the request id is in one
        }
        let ours = metadata.target().starts_with("remediation");
        if metadata.target() == EVIDENCE {
            return true;
        }
        *metadata.level() <= self.level && (ours || *metadata.level() <= Level::WARN)
    }

    fn line(&self, level: Level, request_id: Option<&str>, fields: Fields) -> String {
        let timestamp = OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default();
        if self.json {
            let line = Line {
                timestamp: &timestamp,
                level: level.as_str(),
                message: fields.message,
                request_id,
                fields: fields.others,
                record: fields.record,
            };
            return serde_json::to_string(&line).unwrap_or_default();
        }
        let mut text = format!("{timestamp} {level}");
        if let Some(id) = request_id {
            let _ = write!(text, " requestId={id}");
        }
        let _ = write!(text, " {}", fields.message.replace(['\n', '\r'], " "));
        for (name, value) in &fields.others {
            let _ = write!(text, " {name}={value}");
        }
        if let Some(record) = &fields.record {
            let _ = write!(text, " record={record}");
        }
        text
    }
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: &'a str,
    level: &'static str,
    message: String,
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(flatten)]
    fields: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<Box<RawValue>>,
}

/// An event's fields; the one called `record` holds JSON already.
#[derive(Default)]
struct Fields {
    message: String,
    record: Option<Box<RawValue>>,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let text = format!("{value:?}");
        if field.name() == "message" {
            self.message = text;
        } else {
            self.others.insert(field.name().to_owned(), Value::String(text));
        }
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "record"
            && let Ok(json) = RawValue::from_string(value.to_owned())
        {
            self.record = Some(json);
        } else {
            self.others.insert(field.name().to_owned(), Value::String(value.to_owned()));
        }
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.others.insert(field.name().to_owned(), value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.others.insert(field.name().to_owned(), value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.others.insert(field.name().to_owned(), value.into());
    }
}

/// The request id, kept with the runtime's span.
struct RequestId(String);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.wants(metadata)
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let (Some(Value::String(request)), Some(span)) = (fields.others.remove("requestId"), context.span(id)) {
            span.extensions_mut().insert(RequestId(request));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let request = context.event_scope(event).and_then(|scope| {
            scope.from_root().find_map(|span| span.extensions().get::<RequestId>().map(|id| id.0.clone()))
        });
        let mut line = self.line(*event.metadata().level(), request.as_deref(), fields);
        line.push('\n');
        // Nobody is left to tell if standard output is closed.
        let _ = std::io::stdout().lock().write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(format: &str, level: &str) -> Lines {
        Lines::new(&|name: &str| match name {
            "AWS_LAMBDA_LOG_FORMAT" => Some(format.to_owned()),
            "AWS_LAMBDA_LOG_LEVEL" => Some(level.to_owned()),
            _ => None,
        })
    }

    fn fields() -> Fields {
        let record = Some(RawValue::from_string(r#"{"outcome":"fixed"}"#.to_owned()).unwrap());
        Fields { message: "two\nlines".to_owned(), record, others: Map::new() }
    }

    #[test]
    fn a_record_is_json_within_the_line() {
        let line = lines("JSON", "INFO").line(Level::WARN, Some("r-1"), fields());
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["record"]["outcome"], "fixed");
        assert_eq!((&read["level"], &read["requestId"]), (&"WARN".into(), &"r-1".into()));
        assert!(!line.contains('\n'));
    }

    #[test]
    fn text_is_one_line_too() {
        let line = lines("Text", "INFO").line(Level::INFO, Some("r-1"), fields());
        assert!(line.contains("INFO requestId=r-1 two lines record={\"outcome\""), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn no_level_turns_evidence_off() {
        struct Wants(Lines, std::sync::Mutex<std::collections::BTreeMap<Option<u32>, bool>>);
        impl Subscriber for Wants {
            fn enabled(&self, metadata: &Metadata<'_>) -> bool {
                // Other tests' lines may be asked about, too.
                if metadata.file() == Some(file!()) {
                    self.1.lock().unwrap().insert(metadata.line(), self.0.wants(metadata));
                }
                false
            }
            fn new_span(&self, _: &Attributes<'_>) -> Id {
                Id::from_u64(1)
            }
            fn record(&self, _: &Id, _: &tracing::span::Record<'_>) {}
            fn record_follows_from(&self, _: &Id, _: &Id) {}
            fn event(&self, _: &Event<'_>) {}
            fn enter(&self, _: &Id) {}
            fn exit(&self, _: &Id) {}
        }
        let subscriber = std::sync::Arc::new(Wants(lines("JSON", "FATAL"), std::sync::Mutex::default()));
        tracing::subscriber::with_default(std::sync::Arc::clone(&subscriber), || {
            tracing::info!("said");
            tracing::info!(target: EVIDENCE, record = "{}", "about to write");
            tracing::info!(target: "aws_smithy_runtime", record = "{}", "not ours");
            tracing::info!(record = "{}", "compliant");
        });
        let asked: Vec<bool> = subscriber.1.lock().unwrap().values().copied().collect();
        assert_eq!(asked, [false, true, false, false]);
    }

    #[test]
    fn levels_are_lambdas() {
        for (set, level) in [
            ("", LevelFilter::INFO),
            ("TRACE", LevelFilter::DEBUG),
            ("debug", LevelFilter::DEBUG),
            ("WARN", LevelFilter::WARN),
            ("FATAL", LevelFilter::ERROR),
        ] {
            assert_eq!(lines("JSON", set).level, level, "{set}");
        }
    }
}
