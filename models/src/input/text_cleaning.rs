//! Phrases as people paste them → plain lower-case words.
//!
//! The reference runs ftfy's repairs, HTML unescape twice, white-space collapse and lower-casing before it splits a
//! phrase (parity specification 4.3). The repairs are written anew here for what phrases meet in practice. ftfy's
//! statistics for doubtful mojibake are left out: only text that as a whole is UTF-8 read as Windows-1252 is repaired.

use html_escape::decode_html_entities;
use std::borrow::Cow;
use unicode_normalization::UnicodeNormalization;

/// The repaired, unescaped, trimmed and lower-cased phrase, with single spaces between its words.
pub(super) fn clean(phrase: &str) -> String {
    let mut text = repair(phrase);
    for _ in 0..2 {
        text = decode_html_entities(&text).into_owned();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// ftfy's repairs, repeated until nothing changes: one repair may uncover the next.
fn repair(phrase: &str) -> String {
    let mut text = phrase.to_owned();
    for _ in 0..8 {
        let repaired = repair_once(&text);
        if repaired == text {
            break;
        }
        text = repaired;
    }
    text
}

fn repair_once(text: &str) -> String {
    // A '<' says that the text is HTML on purpose.
    let text = if text.contains('<') {
        Cow::Borrowed(text)
    } else {
        decode_html_entities(text)
    };
    let text = mend_mojibake(&text);
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        push_plain(c, &mut plain);
    }
    let text = without_terminal_escapes(&plain);
    text.chars().filter(|&c| !is_invisible_control(c)).nfc().collect()
}

/// Undoes UTF-8 that was decoded as Windows-1252 ("cafÃ©" for "café").
fn mend_mojibake(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let (bytes, _, unmappable) = encoding_rs::WINDOWS_1252.encode(text);
    match std::str::from_utf8(&bytes) {
        Ok(mended) if !unmappable => Cow::Owned(mended.to_owned()),
        _ => Cow::Borrowed(text),
    }
}

/// Straight quotes, separate Latin ligatures and digraphs, ordinary width.
fn push_plain(c: char, out: &mut String) {
    match c {
        '\u{2bc}' | '\u{2018}'..='\u{201b}' => out.push('\''),
        '\u{201c}'..='\u{201f}' => out.push('"'),
        // LATIN SMALL LIGATURE LONG S T keeps its long s.
        '\u{fb05}' => out.push_str("\u{17f}t"),
        'Ĳ' | 'ĳ' | 'ŉ' | 'Ǆ'..='ǌ' | 'Ǳ'..='ǳ' | '\u{fb00}'..='\u{fb06}' | '\u{3000}' | '\u{ff01}'..='\u{ffef}' =>
        {
            out.extend(std::iter::once(c).nfkc());
        }
        _ => out.push(c),
    }
}

fn without_terminal_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("\x1b[") {
        let parameters = &rest[at + 2..];
        let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';');
        let is_escape = end.is_some_and(|e| parameters.as_bytes()[e].is_ascii_alphabetic());
        out.push_str(&rest[..at]);
        rest = match end {
            Some(e) if is_escape => &parameters[e + 1..],
            _ => parameters,
        };
    }
    out.push_str(rest);
    out
}

fn is_invisible_control(c: char) -> bool {
    matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{e}'..='\u{1f}' | '\u{7f}' | '\u{206a}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffc}')
}
