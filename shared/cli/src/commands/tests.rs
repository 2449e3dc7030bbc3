//! The commands as they are typed, and the words they understand.

use super::session::Place;
use super::words::{hours, plain, until};
use crate::Arguments;
use clap::{CommandFactory, Parser};
use std::path::PathBuf;
use time::OffsetDateTime;
