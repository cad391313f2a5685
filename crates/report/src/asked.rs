//! Which packets a comparison was asked about, where that is not all of them.

use parefeu_equivalence::{Family, Field, Request};
use serde_json::{Map, Value};

use crate::packets::{Part, Term, address_set, protocol_set, range_texts};

/// The limits of the question, by what each is about; empty where all packets are compared.
pub(crate) fn asked(request: &Request) -> Vec<Part> {
    let places = [(Term::From, &request.from), (Term::To, &request.to)];
    let named = places.into_iter().filter_map(|(term, name)| {
        let values = vec![name.as_ref()?.to_string()];
        Some(Part { term, values })
    });
    let mut parts: Vec<Part> = named.collect();
    let family = request.families.first().copied().unwrap_or(Family::V6);
    let fields = request.within.iter().filter_map(|(field, set)| {
        let (term, values) = match field {
            Field::Src => (Term::Source, address_set(set, family)),
            Field::Dst => (Term::Destination, address_set(set, family)),
            Field::Protocol => (Term::Protocol, protocol_set(set)),
            Field::SrcPort => (Term::SourcePort, range_texts(set)),
            Field::DstPort => (Term::Port, range_texts(set)),
            _ => return None,
        };
        Some(Part { term, values })
    });
    parts.extend(fields);
    if let [family] = request.families[..] {
        let name = if family == Family::V4 { "IPv4" } else { "IPv6" };
        parts.push(Part { term: Term::Family, values: vec![name.to_owned()] });
    }
    parts
}

/// `asked` of `parefeu/diff/1`: the fields that are limited; `null` for every packet.
pub(crate) fn asked_document(request: &Request) -> Value {
    let parts = asked(request);
    if parts.is_empty() {
        return Value::Null;
    }
    let fields = parts.into_iter().map(|part| {
        let values = part.values.into_iter();
        let values: Vec<String> = match part.term {
            Term::Family => values.map(|family| family.to_lowercase()).collect(),
            _ => values.collect(),
        };
        (part.term.name().to_owned(), values.into())
    });
    fields.collect::<Map<String, Value>>().into()
}
