//! The fleet as processes, and what happens to them and to the services behind them. Each test has servers of its own,
//! and ends with every job as it should be and nothing left of how it came about.
#![expect(clippy::unwrap_used, reason = "a test program")]

mod bad_input;
mod doctor;
mod draining;
mod ends;
mod handbook;
mod killed;
mod lost;
mod poison;
mod probes;
mod rights;
mod room;
mod same;
mod scaler;
mod services;
mod silent;
mod traces;
mod turns;
mod upgrade;
