//! The command as its users meet it: arguments, files and a pipe in; text and a status out.

#[cfg(test)]
mod book;
#[cfg(test)]
mod check;
#[cfg(test)]
mod common;
#[cfg(test)]
mod decide;
#[cfg(test)]
mod diff;
#[cfg(test)]
mod discover;
#[cfg(test)]
mod explain;
#[cfg(test)]
mod kernel;
#[cfg(test)]
mod lint;
#[cfg(test)]
mod lower;
#[cfg(test)]
mod policy_tests;
#[cfg(test)]
mod promote;
#[cfg(test)]
mod readme;
#[cfg(test)]
mod replay;
#[cfg(test)]
mod usage;
