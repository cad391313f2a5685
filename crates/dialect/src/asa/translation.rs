//! `nat` lines.

use ipnet::IpNet;
use parefeu_policy::{AddressItem, At};

use super::config::{
    GroupKind, InterfacePair, ManualNat, Mapped, Names, NatKind, ObjectNat, Section,
};
use super::line::{Line, Parsed, Refusal, Word, Words, normalised};
use super::{names, term};

/// `(REAL,MAPPED)`, in one word or with a blank after the comma.
fn interfaces(words: &mut Words<'_>) -> Parsed<InterfacePair> {
    let first = words.expect("`(REAL,MAPPED)`")?;
    let mut text = first.text.to_owned();
    if !text.ends_with(')') {
        text.push_str(words.expect("`)`")?.text);
    }
    let inner = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let Some((real, mapped)) = inner.and_then(|inner| inner.split_once(',')) else {
        return Err(Refusal::is_no(first, "pair of interfaces"));
    };
    let side = |name: &str| (name != "any").then(|| At::new(name.to_owned(), first.at));
    Ok(InterfacePair { real: side(real), mapped: side(mapped), route_lookup: false })
}

/// Whether a line is the `nat (INTERFACE) ID …` of 8.2 and earlier.
pub(super) fn is_before_8_3(words: &Words<'_>) -> bool {
    let text = words.peek_text();
    text.starts_with('(') && text.ends_with(')') && !text.contains(',')
}

/// `nat` inside `object network NAME`; the word `nat` already read.
pub(super) fn object_nat(
    names: &Names<'_>,
    object: &str,
    words: &mut Words<'_>,
) -> Parsed<ObjectNat> {
    let at = words.line().at;
    let mut interfaces = if words.peek_text().starts_with('(') {
        interfaces(words)?
    } else {
        InterfacePair::default()
    };
    let kind = kind(words)?;
    let mapped = mapped(words, |word| object_or_address(names, word))?;
    let fallback = fallback(words);
    let mut service = None;
    while let Some(word) = words.next() {
        match word.text {
            "dns" | "no-proxy-arp" | "net-to-net" => {}
            "route-lookup" => interfaces.route_lookup = true,
            "service" => {
                let protocol = words.expect("a protocol")?;
                let number = names::protocol(protocol.text).filter(|it| it.has_ports());
                let number = number.ok_or_else(|| Refusal::is_no(protocol, "protocol"))?;
                service = Some((number, term::port(words)?, term::port(words)?));
            }
            _ => return Err(Refusal::unexpected(word)),
        }
    }
    let object = object.to_owned();
    Ok(ObjectNat { object, interfaces, kind, mapped, fallback, service, at })
}

fn kind(words: &mut Words<'_>) -> Parsed<NatKind> {
    let kind = words.expect("`static` or `dynamic`")?;
    match kind.text {
        "static" => Ok(NatKind::Static),
        "dynamic" => Ok(NatKind::Dynamic),
        _ => Err(Refusal::unexpected(kind)),
    }
}

/// What addresses become: `interface`, `pat-pool NAME`, or what `read` makes of a word.
fn mapped(words: &mut Words<'_>, read: impl Fn(Word<'_>) -> At<AddressItem>) -> Parsed<Mapped> {
    let word = words.expect("a mapped address")?;
    let mapped = match word.text {
        "interface" => {
            words.accept("ipv6");
            return Ok(Mapped::Interface);
        }
        "pat-pool" => {
            let pool = words.expect("a pool")?;
            let pool = Mapped::PatPool(read(pool));
            pool_options(words);
            pool
        }
        _ => Mapped::To(read(word)),
    };
    Ok(mapped)
}

/// `interface [ipv6]` after a pool: what sessions get once it is used up.
fn fallback(words: &mut Words<'_>) -> bool {
    let found = words.accept("interface");
    if found {
        words.accept("ipv6");
    }
    pool_options(words);
    found
}

/// How a pool hands out its ports: which one a session gets, not whether it gets one.
fn pool_options(words: &mut Words<'_>) {
    while matches!(
        words.peek_text(),
        "round-robin" | "extended" | "flat" | "include-reserve" | "block-allocation"
    ) {
        words.next();
    }
}

/// The mapped side of object NAT. What is the name of an object is that object, whether or not it
/// looks like an address or is a `name` too.
fn object_or_address(names: &Names<'_>, word: Word<'_>) -> At<AddressItem> {
    let is_object = names.objects.contains(word.text)
        || names.groups.get(word.text) == Some(&GroupKind::Network);
    if is_object || word.text == "any" {
        return object(word);
    }
    let item = if let Ok(network) = word.text.parse::<IpNet>() {
        AddressItem::Network(network)
    } else if let Ok(address) = term::ip(names, word) {
        AddressItem::Network(IpNet::from(address))
    } else {
        AddressItem::Object(word.text.to_owned())
    };
    At::new(item, word.at)
}

/// An end of twice NAT, which takes *any*, objects and groups only (CLI guide, "Twice NAT": objects
/// are required unless `any` or `interface` is written).
fn object(word: Word<'_>) -> At<AddressItem> {
    let item = match word.text {
        "any" => AddressItem::Any,
        name => AddressItem::Object(name.to_owned()),
    };
    At::new(item, word.at)
}

/// Twice NAT; the word `nat` already read. A line that is not understood comes back as one that
/// perhaps matches.
pub(super) fn manual_nat(words: &mut Words<'_>) -> (ManualNat, Option<Refusal>) {
    let line = words.line();
    let mut nat = unknown(line, AddressItem::Any);
    let refusal = fill(&mut nat, words).err();
    if refusal.is_none() {
        nat.unknown = None;
    }
    (nat, refusal)
}

/// A translation of `real` addresses that is not understood: it perhaps matches.
pub(super) fn unknown(line: Line<'_>, real: AddressItem) -> ManualNat {
    let at = line.at;
    ManualNat {
        interfaces: InterfacePair::default(),
        section: Section::BeforeObjects,
        position: None,
        kind: NatKind::Static,
        real_src: At::new(real, at),
        mapped_src: Mapped::To(At::new(AddressItem::Any, at)),
        fallback: false,
        dst: None,
        service: None,
        unidirectional: false,
        inactive: false,
        unknown: Some(format!("asa: {}", normalised(line.text))),
        at,
    }
}

fn fill(nat: &mut ManualNat, words: &mut Words<'_>) -> Parsed<()> {
    if words.peek_text().starts_with('(') {
        nat.interfaces = interfaces(words)?;
    }
    if words.accept("after-auto") {
        nat.section = Section::AfterObjects;
    }
    if let Ok(position) = words.peek_text().parse() {
        nat.position = Some(position);
        words.next();
    }
    let source = words.expect("`source`")?;
    if source.text != "source" {
        return Err(Refusal::unexpected(source));
    }
    nat.kind = kind(words)?;
    let real = words.expect("a real address")?;
    nat.real_src = object(real);
    nat.mapped_src = mapped(words, object)?;
    nat.fallback = fallback(words);
    while let Some(word) = words.next() {
        match word.text {
            "destination" => {
                let kind = words.expect("`static`")?;
                if kind.text != "static" {
                    return Err(Refusal::unexpected(kind));
                }
                let shown = words.expect("a mapped address")?;
                let shown = match shown.text {
                    "interface" => Mapped::Interface,
                    _ => Mapped::To(object(shown)),
                };
                let real = words.expect("a real address")?;
                nat.dst = Some((shown, object(real)));
            }
            "service" => {
                let (real, mapped) = (words.expect("a service")?, words.expect("a service")?);
                let named = |word: Word<'_>| At::new(word.text.to_owned(), word.at);
                nat.service = Some((named(real), named(mapped)));
            }
            "unidirectional" => nat.unidirectional = true,
            "inactive" => nat.inactive = true,
            "route-lookup" => nat.interfaces.route_lookup = true,
            "dns" | "no-proxy-arp" | "net-to-net" => {}
            "description" => return Ok(()),
            _ => return Err(Refusal::unexpected(word)),
        }
    }
    Ok(())
}
