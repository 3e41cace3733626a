//! What the command prints about itself: schemas, completions, the manual page.

use std::io::{self, Write as _};

use clap::{Command, CommandFactory as _};
use gambeson::policy_model::{event_schema, policy_schema};

use crate::Outcome;
use crate::args::{Cli, CompletionsArgs, SchemaArgs, SchemaOf};
use crate::failure::Failure;

/// The JSON Schema of policies or of events.
pub(crate) fn schema(args: &SchemaArgs) -> Result<Outcome, Failure> {
    let schema = match args.of {
        SchemaOf::Policy => policy_schema(),
        SchemaOf::Event => event_schema(),
    };
    print(format!("{schema:#}\n").as_bytes())
}

/// A completion script.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<Outcome, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gambeson", &mut script);
    print(&script)
}

/// The manual page, with a section for each command.
pub(crate) fn manual() -> Result<Outcome, Failure> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let mut notes = Vec::new();
    man.render_extra_section(&mut notes)?;
    append(&mut page, &notes, ".SH ");
    for subcommand in command.get_subcommands() {
        section(&mut page, subcommand)?;
    }
    print(&page)
}

/// A command as one section of the page: its own page's sections become sub-sections.
fn section(page: &mut Vec<u8>, command: &Command) -> io::Result<()> {
    let man = clap_mangen::Man::new(command.clone());
    let mut own = Vec::new();
    man.render_synopsis_section(&mut own)?;
    man.render_description_section(&mut own)?;
    man.render_options_section(&mut own)?;
    man.render_extra_section(&mut own)?;
    writeln!(
        page,
        ".SH \"GAMBESON {}\"",
        command.get_name().to_uppercase()
    )?;
    append(page, &own, ".SS ");
    Ok(())
}

/// Appends text with its sections at another level. The renderer calls notes and examples EXTRA.
fn append(page: &mut Vec<u8>, text: &[u8], level: &str) {
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(b".SH ") {
            Some(title) => {
                page.extend_from_slice(level.as_bytes());
                let is_extra = title.trim_ascii_end() == b"EXTRA";
                page.extend_from_slice(if is_extra { b"NOTES\n" } else { title });
            }
            None => page.extend_from_slice(line),
        }
    }
}

fn print(text: &[u8]) -> Result<Outcome, Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text)?;
    stdout.flush()?;
    Ok(Outcome::Good)
}
