//! What the four mail systems do differently where it matters for loops, as it was measured (Debian 12).

use crate::guarded::Caller;
use crate::mail::on_top;
use crate::plan::System;

/// What a mail system puts on top of a message for a command.
pub fn handed_over(sender: &str, to: &str, message: &[u8], system: System, caller: Caller) -> Vec<u8> {
    let line = match sender {
        "" => "From MAILER-DAEMON Mon Nov  2 10:00:00 2026\n".to_owned(),
        sender => format!("From {sender} Mon Nov  2 10:00:00 2026\n"),
    };
    let fields = match (system, caller) {
        (System::Postfix, _) => format!("{line}Return-Path: <{sender}>\nX-Original-To: {to}\nDelivered-To: {to}\n"),
        (System::Exim, Caller::Procmail) => format!("{line}Return-path: <{sender}>\nEnvelope-to: {to}\n"),
        (System::Sendmail, Caller::Procmail) if sender.is_empty() => format!("{line}Return-Path: <MAILER-DAEMON>\n"),
        (System::Sendmail, Caller::Procmail) => format!("{line}Return-Path: <{sender}>\n"),
        (System::Exim | System::Sendmail, Caller::Itself) => line,
        (System::OpenSmtpd, _) if sender.is_empty() => format!("Delivered-To: {to}\n"),
        (System::OpenSmtpd, _) => format!("Return-Path: <{sender}>\nDelivered-To: {to}\n"),
    };
    on_top(&fields, message)
}

/// Whether it refuses what it delivered before, by `Delivered-To`.
pub fn checks_delivered_to(system: System) -> bool {
    match system {
        System::Postfix | System::OpenSmtpd => true,
        System::Exim | System::Sendmail => false,
    }
}

/// How many `Received` fields a host bears.
pub fn hop_limit(system: System) -> usize {
    match system {
        System::Postfix => 50,
        System::Exim => 30,
        System::Sendmail => 25,
        System::OpenSmtpd => 100,
    }
}
