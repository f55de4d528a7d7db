//! The messages, the same in each run but for the number in each.

use std::io::Write;

use crate::measure::Chance;

/// An ordinary message that can be had with any number.
pub struct Mail {
    head: String,
    body: Vec<u8>,
}

impl Mail {
    /// Ordinary mail of about so many bytes.
    pub fn of(bytes: usize) -> Self {
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let mut body = Vec::with_capacity(bytes);
        while body.len() + 77 < bytes.saturating_sub(700) {
            let mut bits = chance.next(u64::MAX);
            for at in 0..76 {
                // Twelve letters out of each number.
                if at % 12 == 0 {
                    bits = chance.next(u64::MAX);
                }
                body.push(b"etaoinshrdlucmfwETAOINSHRDLUCMFW0123456789 .,;:-()'!?/abcdefghij"[(bits & 63) as usize]);
                bits >>= 5;
            }
            body.push(b'\n');
        }
        Self {
            head: "Return-Path: <s@s.test>\nReceived: from mx.s.test (mx.s.test [192.0.2.7])\n\tby mx.a.test (Postfix) with ESMTPS id 4A0000000001\n\tfor <a@a.test>; Mon,  2 Nov 2026 10:00:00 +0000 (UTC)\nReceived: from [10.0.0.5] (client.s.test [198.51.100.7])\n\tby mx.s.test (Postfix) with ESMTPSA id 770000000001;\n\tMon,  2 Nov 2026 09:59:58 +0000 (UTC)\nDate: Mon, 2 Nov 2026 10:00:00 +0000\nFrom: Sam Sample <s@s.test>\nTo: User <a@a.test>\nMIME-Version: 1.0\nContent-Type: text/plain; charset=us-ascii\nUser-Agent: Mutt/2.2\n".to_owned(),
            body,
        }
    }

    /// The same with another field in its header.
    pub fn with(mut self, field: &str) -> Self {
        self.head.push_str(field);
        self.head.push('\n');
        self
    }

    pub fn numbered(&self, number: u64) -> Vec<u8> {
        let mut text = Vec::with_capacity(self.head.len() + self.body.len() + 128);
        write!(
            text,
            "{}Subject: number {number}\nMessage-ID: <{number}@s.test>\n\n",
            self.head
        )
        .unwrap();
        text.extend_from_slice(&self.body);
        text
    }
}

/// A mail system's report that a message could not be delivered.
pub fn report(number: u64) -> Vec<u8> {
    format!(
        "Return-Path: <>\nReceived: by mx.a.test (Postfix)\n\tid 4B{number:010X}; Mon,  2 Nov 2026 10:00:00 +0000 (UTC)\nDate: Mon,  2 Nov 2026 10:00:00 +0000 (UTC)\nFrom: MAILER-DAEMON@mx.a.test (Mail Delivery System)\nSubject: Undelivered Mail Returned to Sender\nTo: a@a.test\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\nContent-Type: multipart/report; report-type=delivery-status;\n\tboundary=\"4B{number}.1/mx.a.test\"\nMessage-Id: <2026.4B{number:010X}@mx.a.test>\n\nThis is a MIME-encapsulated message.\n\n--4B{number}.1/mx.a.test\nContent-Type: text/plain; charset=us-ascii\n\n<b@b.test>: host mx.b.test[192.0.2.9] said: 550 5.1.1 <b@b.test>: Recipient address\n    rejected: User unknown (in reply to RCPT TO command)\n\n--4B{number}.1/mx.a.test\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.a.test\n\nFinal-Recipient: rfc822; b@b.test\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <b@b.test>: Recipient address rejected: User\n    unknown\n\n--4B{number}.1/mx.a.test\nContent-Type: message/rfc822\n\nFrom: User <a@a.test>\nTo: b@b.test\nSubject: hello {number}\nMessage-ID: <{number}@a.test>\n\n{}\n--4B{number}.1/mx.a.test--\n",
        "so many words that nobody will read at b\n".repeat(60)
    )
    .into_bytes()
}
