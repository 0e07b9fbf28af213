//! The command line: what is taken, what is not, and what it says of itself.

use clap::CommandFactory;
use clap::error::ErrorKind;

use super::*;

fn parse(line: &str) -> Result<Command, ErrorKind> {
    Cli::try_parse_from(line.split(' ')).map(|cli| cli.command).map_err(|error| error.kind())
}

#[test]
fn the_definition_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn up_has_its_defaults() {
    let Ok(Command::Up(args)) = parse("vartalap up") else { panic!("up") };
    assert_eq!((args.host.to_string().as_str(), args.port, args.wake_interval), ("127.0.0.1", 8080, 30));
    assert_eq!((args.waits.as_str(), args.memory, args.json), ("5,15,45,5", false, false));
    assert_eq!(args.data, std::path::Path::new(".vartalap"));
}

#[test]
fn a_lifetime_is_a_duration_for_people() {
    for ttl in ["12h", "30m", "90s", "1d", "1h30m"] {
        assert!(parse(&format!("vartalap token alice --ttl {ttl}")).is_ok(), "{ttl}");
    }
    for ttl in ["0s", "12", "soon", "5ms"] {
        assert!(parse(&format!("vartalap token alice --ttl {ttl}")).is_err(), "{ttl}");
    }
    for ttl in ["366d", "584542046090y"] {
        assert!(parse(&format!("vartalap token alice --ttl {ttl}")).is_err(), "{ttl}");
    }
    assert!(parse("vartalap token a#b").is_err());
}

#[test]
fn an_issuer_is_an_address_and_kept_to_the_letter() {
    for issuer in ["https://issuer.example/", "http://127.0.0.1:4566/bucket"] {
        let Ok(Command::Jwks(args)) = parse(&format!("vartalap jwks --issuer {issuer}")) else { panic!("{issuer}") };
        assert_eq!(args.issuer.as_deref(), Some(issuer));
    }
    for issuer in ["vartalap-local", "ftp://issuer.example", "https://", "/path"] {
        assert_eq!(
            parse(&format!("vartalap jwks --issuer {issuer}")).err(),
            Some(ErrorKind::ValueValidation),
            "{issuer}"
        );
    }
}

#[test]
fn times_are_within_what_can_be_waited_for() {
    for timeout in ["1", "31536000"] {
        assert!(parse(&format!("vartalap listen --as alice --timeout {timeout}")).is_ok(), "{timeout}");
    }
    for timeout in ["0", "31536001", "18446744073709551615"] {
        let parsed = parse(&format!("vartalap listen --as alice --timeout {timeout}"));
        assert_eq!(parsed.err(), Some(ErrorKind::ValueValidation), "{timeout}");
    }
    for interval in ["0", "3600"] {
        assert!(parse(&format!("vartalap up --wake-interval {interval}")).is_ok(), "{interval}");
    }
    for interval in ["3601", "18446744073709551615"] {
        let parsed = parse(&format!("vartalap up --wake-interval {interval}"));
        assert_eq!(parsed.err(), Some(ErrorKind::ValueValidation), "{interval}");
    }
}

#[test]
fn a_client_needs_a_user_or_a_token() {
    for command in ["send --to bob hello", "listen", "chat --to bob"] {
        assert!(parse(&format!("vartalap {command} --as alice")).is_ok(), "{command}");
        assert!(parse(&format!("vartalap {command} --token x")).is_ok(), "{command}");
        assert_eq!(parse(&format!("vartalap {command}")).err(), Some(ErrorKind::MissingRequiredArgument), "{command}");
    }
    assert!(parse("vartalap listen --as alice --count 0").is_err());
    assert!(parse("vartalap listen --as alice --device a/b").is_err());
}

#[test]
fn help_says_what_the_marks_of_a_chat_mean() {
    let mut cli = Cli::command();
    let help = cli.find_subcommand_mut("chat").expect("chat").render_long_help().to_string();
    for word in ["(accepted)", "(shown)", "acked once it is on the screen"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}
