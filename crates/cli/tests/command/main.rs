//! The command as its users meet it: arguments, files and a pipe in; text and a status out.

#[cfg(test)]
mod common;
#[cfg(test)]
mod decide;
mod diff;
mod explain;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod lint;
mod policy_tests;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod usage;
