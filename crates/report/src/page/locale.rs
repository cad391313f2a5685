//! Numbers, sizes and times as each language writes them.

use std::time::Duration;

use parefeu_net::Timestamp;

use super::Language;
use crate::packets::Size;

/// How a language writes figures.
#[derive(Clone, Copy, Debug)]
pub(super) struct Locale {
    language: Language,
}

/// A word that is counted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Noun {
    Session,
    Frame,
    Packet,
    Source,
    Capture,
    Rule,
    Difference,
    Region,
    RulePair,
    Connection,
    Assumption,
    Question,
    PlacePair,
    Closed,
    Opened,
    Application,
    Translation,
    Refusal,
}

impl Noun {
    /// One and several, in English and in French.
    const fn forms(self) -> [[&'static str; 2]; 2] {
        match self {
            Self::Session => [["session", "sessions"], ["session", "sessions"]],
            Self::Frame => [["frame", "frames"], ["trame", "trames"]],
            Self::Packet => [["packet", "packets"], ["paquet", "paquets"]],
            Self::Source => [["source", "sources"], ["source", "sources"]],
            Self::Capture => [["capture", "captures"], ["capture", "captures"]],
            Self::Rule => [["rule", "rules"], ["règle", "règles"]],
            Self::Difference => [["difference", "differences"], ["écart", "écarts"]],
            Self::Region => [["region", "regions"], ["région", "régions"]],
            Self::Connection => [
                ["set of connections", "sets of connections"],
                ["ensemble de connexions", "ensembles de connexions"],
            ],
            Self::RulePair => {
                [["pair of rules", "pairs of rules"], ["couple de règles", "couples de règles"]]
            }
            Self::Assumption => [["assumption", "assumptions"], ["hypothèse", "hypothèses"]],
            Self::Question => {
                [["open question", "open questions"], ["question ouverte", "questions ouvertes"]]
            }
            Self::PlacePair => [
                ["pair of zones or interfaces", "pairs of zones or interfaces"],
                ["couple de zones ou d’interfaces", "couples de zones ou d’interfaces"],
            ],
            Self::Closed => [["closed", "closed"], ["fermée", "fermées"]],
            Self::Opened => [["opened", "opened"], ["ouverte", "ouvertes"]],
            Self::Application => [
                ["by application", "by application"],
                ["selon l’application", "selon l’application"],
            ],
            Self::Translation => [
                ["translated differently", "translated differently"],
                ["traduite autrement", "traduites autrement"],
            ],
            Self::Refusal => [
                ["refused differently", "refused differently"],
                ["refusée autrement", "refusées autrement"],
            ],
        }
    }
}

impl Locale {
    /// The habits of `language`.
    pub(super) const fn new(language: Language) -> Self {
        Self { language }
    }

    /// `12,345`, in French `12 345` with narrow no-break spaces.
    pub(super) fn integer(self, number: u64) -> String {
        let digits = number.to_string();
        let separator = match self.language {
            Language::En => ',',
            Language::Fr => '\u{202f}',
        };
        let mut grouped = String::with_capacity(digits.len() * 2);
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                grouped.push(separator);
            }
            grouped.push(digit);
        }
        grouped
    }

    /// `3 sessions`, with a no-break space. French counts nought as one.
    pub(super) fn count(self, number: u64, noun: Noun) -> String {
        let [english, french] = noun.forms();
        let [one, several] = match self.language {
            Language::En => english,
            Language::Fr => french,
        };
        let is_one = match self.language {
            Language::En => number == 1,
            Language::Fr => number <= 1,
        };
        format!("{}\u{a0}{}", self.integer(number), if is_one { one } else { several })
    }

    /// How many packet headers a region holds: `8 headers`, `about 281 million headers`, and where
    /// no word helps, `about 1.3 × 10⁸⁹ headers`.
    pub(super) fn headers(self, size: Size) -> String {
        let [about, header, headers, of] = match self.language {
            Language::En => ["about", "header", "headers", ""],
            Language::Fr => ["environ", "en-tête", "en-têtes", "d’"],
        };
        let (lead, power) = match size {
            Size::Exact(1) => return format!("1\u{a0}{header}"),
            Size::Exact(count) => return format!("{}\u{a0}{headers}", self.integer(count)),
            Size::About(lead, power) => (lead, power),
        };
        let unit = match (self.language, power) {
            (_, 6..9) => "million",
            (Language::En, 9..12) => "billion",
            (Language::Fr, 9..12) => "milliard",
            _ => {
                let power = superscript(power);
                return format!("{about} {}\u{a0}×\u{a0}10{power} {headers}", self.decimal(lead));
            }
        };
        let value = lead * [1.0, 10.0, 100.0][power as usize % 3];
        let plural = if self.language == Language::Fr && value >= 2.0 { "s" } else { "" };
        let value = if value < 9.95 { self.decimal(value) } else { format!("{value:.0}") };
        format!("{about} {value}\u{a0}{unit}{plural} {of}{headers}")
    }

    /// One decimal place: `1.5`, in French `1,5`.
    fn decimal(self, number: f64) -> String {
        let text = format!("{number:.1}");
        match self.language {
            Language::En => text,
            Language::Fr => text.replace('.', ","),
        }
    }

    /// Bytes in the unit that leaves at most three digits before the decimal sign: `1.5 kB`.
    pub(super) fn bytes(self, count: u64) -> String {
        const PREFIXES: [&str; 6] = ["k", "M", "G", "T", "P", "E"];
        let byte = match self.language {
            Language::En => "B",
            Language::Fr => "o",
        };
        if count < 1000 {
            return format!("{count}\u{a0}{byte}");
        }
        let mut value = count as f64 / 1000.0;
        let mut prefixes = PREFIXES.into_iter();
        let mut prefix = prefixes.next().unwrap_or_default();
        // 999.95 would be written with four digits.
        while value >= 999.95
            && let Some(next) = prefixes.next()
        {
            value /= 1000.0;
            prefix = next;
        }
        format!("{}\u{a0}{prefix}{byte}", self.decimal(value))
    }

    /// `12.5 %` of `whole`; nothing of nothing is `0.0 %`.
    pub(super) fn percent(self, part: u64, whole: u64) -> String {
        let share = if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
        match self.language {
            Language::En => format!("{}%", self.decimal(share)),
            Language::Fr => format!("{}\u{a0}%", self.decimal(share)),
        }
    }

    /// A part of one, in percent, that never says *all* or *nothing* of a part.
    pub(super) fn share(self, share: f64) -> String {
        let space = if self.language == Language::Fr { "\u{a0}" } else { "" };
        let (sign, value) = match share * 100.0 {
            it if share < 1.0 && it > 99.9 => (">\u{a0}", 99.9),
            it if share > 0.0 && it < 0.1 => ("<\u{a0}", 0.1),
            it => ("", it),
        };
        format!("{sign}{}{space}%", self.decimal(value))
    }

    /// A length of time by its two greatest units.
    pub(super) fn duration(self, time: Duration) -> String {
        let secs = time.as_secs();
        let day = match self.language {
            Language::En => "d",
            Language::Fr => "j",
        };
        let (minutes, hours, days) = (secs / 60 % 60, secs / 3600 % 24, secs / 86_400);
        match () {
            () if days > 0 => format!("{}\u{a0}{day} {hours}\u{a0}h", self.integer(days)),
            () if hours > 0 => format!("{hours}\u{a0}h {minutes}\u{a0}min"),
            () if minutes > 0 => format!("{minutes}\u{a0}min {}\u{a0}s", secs % 60),
            () if time.subsec_nanos() == 0 => format!("{secs}\u{a0}s"),
            () => format!("{}\u{a0}s", self.decimal(time.as_secs_f64())),
        }
    }
}

/// A number in raised digits.
fn superscript(number: u32) -> String {
    const RAISED: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let digits = number.to_string();
    digits.chars().filter_map(|digit| RAISED.get(digit.to_digit(10)? as usize)).collect()
}

/// A time in UTC to the second as ISO 8601 writes it: `2026-11-23 18:00:00`.
pub(super) fn moment(time: Timestamp) -> String {
    let text = time.to_string();
    let (date, clock) = text.split_once('T').unwrap_or((&text, ""));
    let clock = clock.split('.').next().unwrap_or(clock);
    format!("{date} {clock}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_writes_figures_its_way() {
        let [en, fr] = [Language::En, Language::Fr].map(Locale::new);
        for (number, english, french) in [
            (0, "0", "0"),
            (999, "999", "999"),
            (1_234_567, "1,234,567", "1\u{202f}234\u{202f}567"),
        ] {
            assert_eq!([en.integer(number), fr.integer(number)], [english, french]);
        }
        for (count, english, french) in [
            (15, "15\u{a0}B", "15\u{a0}o"),
            (1500, "1.5\u{a0}kB", "1,5\u{a0}ko"),
            (999_960, "1.0\u{a0}MB", "1,0\u{a0}Mo"),
            (u64::MAX, "18.4\u{a0}EB", "18,4\u{a0}Eo"),
        ] {
            assert_eq!([en.bytes(count), fr.bytes(count)], [english, french]);
        }
        for (count, english, french) in [
            (0, "0\u{a0}frames", "0\u{a0}trame"),
            (1, "1\u{a0}frame", "1\u{a0}trame"),
            (2, "2\u{a0}frames", "2\u{a0}trames"),
        ] {
            let counts = [en.count(count, Noun::Frame), fr.count(count, Noun::Frame)];
            assert_eq!(counts, [english, french]);
        }
        for (size, english, french) in [
            (Size::Exact(1), "1\u{a0}header", "1\u{a0}en-tête"),
            (Size::Exact(393_216), "393,216\u{a0}headers", "393\u{202f}216\u{a0}en-têtes"),
            (
                Size::About(1.54, 6),
                "about 1.5\u{a0}million headers",
                "environ 1,5\u{a0}million d’en-têtes",
            ),
            (
                Size::About(2.81, 11),
                "about 281\u{a0}billion headers",
                "environ 281\u{a0}milliards d’en-têtes",
            ),
            (
                Size::About(1.27, 89),
                "about 1.3\u{a0}×\u{a0}10⁸⁹ headers",
                "environ 1,3\u{a0}×\u{a0}10⁸⁹ en-têtes",
            ),
        ] {
            assert_eq!([en.headers(size), fr.headers(size)], [english, french]);
        }
        assert_eq!([en.percent(1, 8), fr.percent(1, 8)], ["12.5%", "12,5\u{a0}%"]);
        assert_eq!(en.percent(0, 0), "0.0%");
        let shares =
            [1.0, 0.999_999, 0.5, 1e-12].map(|share| fr.share(share).replace('\u{a0}', " "));
        assert_eq!(shares, ["100,0 %", "> 99,9 %", "50,0 %", "< 0,1 %"]);
        for (millis, english, french) in [
            (1_500, "1.5\u{a0}s", "1,5\u{a0}s"),
            (65_000, "1\u{a0}min 5\u{a0}s", "1\u{a0}min 5\u{a0}s"),
            (90_061_000, "1\u{a0}d 1\u{a0}h", "1\u{a0}j 1\u{a0}h"),
        ] {
            let time = Duration::from_millis(millis);
            assert_eq!([en.duration(time), fr.duration(time)], [english, french]);
        }
    }
}
