//! The alarms that have a metric for each control or function. The others are written by hand.

use super::pascal_case;
use crate::About;
use std::fmt::Write;

/// The most metrics that one alarm can be calculated from.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-data-queries.html>
const METRICS: usize = 10;

/// The alarms on sweeps that are missing, and on functions that fail or are throttled.
pub(super) fn made(controls: &[About]) -> String {
    let sweeping: Vec<&str> =
        controls.iter().filter(|about| about.sweeps.is_some()).map(|about| about.id.as_str()).collect();
    let mut functions = vec!["Recorder".to_owned(), "Undo".to_owned()];
    functions.extend(controls.iter().map(|about| pascal_case(&about.id)));
    let mut text = String::new();
    for (index, controls) in sweeping.chunks(METRICS).enumerate() {
        text.push_str(&sweeps(index + 1, controls));
    }
    // Two metrics for each.
    for (index, functions) in functions.chunks(METRICS / 2).enumerate() {
        text.push_str(&errors(index + 1, functions));
    }
    text.push('\n');
    text
}

/// The fewest sweeps that any of these controls has finished in a day: none is one too few. Two days, since a day that has just
/// begun, or a sweep that is a minute later than yesterday's, is no reason to wake anybody.
fn sweeps(number: usize, controls: &[&str]) -> String {
    let filled: Vec<_> = (1..=controls.len()).map(|index| format!("FILL(sweeps{index}, 0)")).collect();
    let mut text = format!(
        "
  SweepsAlarm{number}:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: \"A control has not finished its daily sweep for two days (also for a day or two after the first deployment). \
         First look which line is at 0 in this alarm's graph. docs/operations.md#sweepsalarm\"
      ComparisonOperator: LessThanThreshold
      Threshold: 1
      EvaluationPeriods: 2
      TreatMissingData: breaching
      AlarmActions: [!Ref Announcements]
      Metrics:
        - {{Id: fewest, Label: fewest sweeps of any control, Expression: \"MIN([{}])\"}}
",
        filled.join(", ")
    );
    for (index, control) in controls.iter().enumerate() {
        let _ = writeln!(
            text,
            "        - {{Id: sweeps{}, Label: {control}, ReturnData: false, MetricStat: {{Period: 86400, Stat: Sum, Metric: {{Namespace: \
             Suture, MetricName: Sweeps, Dimensions: [{{Name: control, Value: {control}}}]}}}}}}",
            index + 1
        );
    }
    text
}

/// The errors and throttles of these functions together.
fn errors(number: usize, functions: &[String]) -> String {
    let mut text = format!(
        "
  ErrorsAlarm{number}:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: \"A function failed or was throttled. Lambda tries again; what fails every time is in UnhandledEvents. First \
         read the function's log for the error. docs/operations.md#errorsalarm\"
      ComparisonOperator: GreaterThanThreshold
      Threshold: 0
      EvaluationPeriods: 3
      DatapointsToAlarm: 2 # once is what retries are for
      TreatMissingData: notBreaching
      AlarmActions: [!Ref Announcements]
      Metrics:
        - {{Id: sum, Label: errors and throttles, Expression: SUM(METRICS())}}
"
    );
    for (index, function) in functions.iter().enumerate() {
        for (name, id) in [("Errors", "errors"), ("Throttles", "throttles")] {
            let _ = writeln!(
                text,
                "        - {{Id: {id}{}, ReturnData: false, MetricStat: {{Period: 300, Stat: Sum, Metric: {{Namespace: AWS/Lambda, \
                 MetricName: {name}, Dimensions: [{{Name: FunctionName, Value: !Ref {function}}}]}}}}}}",
                index + 1
            );
        }
    }
    text
}
