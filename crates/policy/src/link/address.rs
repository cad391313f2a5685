//! Address objects and groups become sets.

use std::collections::BTreeMap;
use std::rc::Rc;

use ipnet::IpNet;

use super::{Interner, Linker, MAX_NESTING, UNRESOLVED};
use crate::linked::{Atom, AtomId, LinkedAddresses};
use crate::model::{AddressItem, AddressMatch, AddressObject, Firewall};
use crate::set::AddressSet;
use crate::{At, Diagnostics, Span};

/// Expands each object once.
pub(super) struct AddressResolver<'a> {
    firewall: &'a Firewall,
    objects: BTreeMap<&'a str, &'a AddressObject>,
    done: BTreeMap<&'a str, Rc<Resolved>>,
    open: Vec<&'a str>,
}

/// What an object holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Resolved {
    set: AddressSet,
    atoms: Vec<AtomId>,
    /// How deep objects nest below: 0 for a rule's own list, 1 for an object without groups.
    height: usize,
}

impl Resolved {
    fn insert(&mut self, other: &Self) {
        self.height = self.height.max(other.height);
        self.set.insert_set(&other.set);
        self.atoms.extend_from_slice(&other.atoms);
    }

    fn atom(&mut self, atom: AtomId) {
        self.atoms.push(atom);
    }
}

/// Where problems and atoms go while resolving.
pub(super) struct Context<'p> {
    pub(super) problems: &'p mut Diagnostics,
    pub(super) atoms: &'p mut Interner<Atom>,
}

impl Context<'_> {
    /// What stands for an object that cannot be resolved: nobody can say what it holds.
    fn unresolved(&mut self, code: &'static str, at: Span, message: String) -> Rc<Resolved> {
        self.problems.error(code, at, message);
        let atoms = vec![self.atoms.atom(UNRESOLVED, at)];
        Rc::new(Resolved { atoms, ..Resolved::default() })
    }
}

impl<'a> AddressResolver<'a> {
    pub(super) fn new(firewall: &'a Firewall) -> Self {
        let objects = firewall.addresses.iter().map(|object| (object.name.as_str(), object));
        Self { firewall, objects: objects.collect(), done: BTreeMap::new(), open: Vec::new() }
    }

    fn object(&mut self, name: &str, at: Span, context: &mut Context<'_>) -> Rc<Resolved> {
        let (above, done) = (self.open.len(), self.done.get(name));
        if let Some(done) = done.filter(|done| above + done.height <= MAX_NESTING) {
            return Rc::clone(done);
        }
        if done.is_some() || above >= MAX_NESTING {
            let message = format!("address groups nest deeper than {MAX_NESTING}");
            return context.unresolved("nesting-too-deep", at, message);
        }
        let Some((&name, &object)) = self.objects.get_key_value(name) else {
            let message = format!("unknown address object `{name}`");
            return context.unresolved("unknown-object", at, message);
        };
        if self.open.contains(&name) {
            let message = format!("address group `{name}` contains itself");
            return context.unresolved("cycle", at, message);
        }
        self.open.push(name);
        let mut resolved = self.items(&object.items, context);
        let except = self.items(&object.except, context);
        self.open.pop();
        resolved.height = 1 + resolved.height.max(except.height);
        if object.items.is_empty() {
            let message = format!("address object `{name}` is empty and matches nothing");
            context.problems.suspicious("empty-group", object.at, message);
        }
        if !object.except.is_empty() {
            take_out(&mut resolved, &except, object, context);
        }
        let resolved = Rc::new(resolved);
        self.done.insert(name, Rc::clone(&resolved));
        resolved
    }

    pub(super) fn items(
        &mut self,
        items: &[At<AddressItem>],
        context: &mut Context<'_>,
    ) -> Resolved {
        let mut all = Resolved::default();
        let mut networks: Vec<IpNet> = Vec::new();
        for At { value, at } in items {
            match value {
                AddressItem::Any => all.set.insert_set(&AddressSet::all()),
                AddressItem::AnyV4 => all.set.insert_set(&AddressSet::all_v4()),
                AddressItem::AnyV6 => all.set.insert_set(&AddressSet::all_v6()),
                AddressItem::Network(network) => networks.push(*network),
                AddressItem::Range(first, last) => {
                    if let Err(error) = all.set.insert_range(*first, *last) {
                        let unresolved = context.unresolved("bad-range", *at, error.to_string());
                        all.insert(&unresolved);
                    }
                }
                AddressItem::Masked(pattern) => all.set.insert_masked(*pattern),
                AddressItem::Interface(name) => {
                    if let Some(addresses) = self.interface(name) {
                        networks.extend(addresses);
                    } else {
                        let text = format!("address of interface {name}");
                        all.atom(context.atoms.atom(&text, *at));
                    }
                }
                AddressItem::Object(name) => {
                    let object = self.object(name, *at, context);
                    all.insert(&object);
                }
                AddressItem::Unknown(text) => all.atom(context.atoms.atom(text, *at)),
            }
        }
        all.set.insert_set(&networks.into_iter().collect());
        all.atoms.sort_unstable();
        all.atoms.dedup();
        all
    }

    /// The host addresses of an interface; `None` when it has none that are known.
    fn interface(&self, name: &str) -> Option<Vec<IpNet>> {
        let mut interfaces = self.firewall.interfaces.iter();
        let interface =
            interfaces.find(|it| it.name == name || it.aliases.iter().any(|a| a == name))?;
        let hosts = interface.addresses.iter().map(|net| IpNet::from(net.addr())).collect();
        (!interface.addresses.is_empty()).then_some(hosts)
    }
}

/// Takes `except` out of `resolved`; what cannot be cut exactly becomes an atom.
fn take_out(
    resolved: &mut Resolved,
    except: &Resolved,
    object: &AddressObject,
    context: &mut Context<'_>,
) {
    let rest = except.set.complement();
    let cut = rest.and_then(|rest| resolved.set.intersection(&rest));
    match cut {
        Some(cut) if except.atoms.is_empty() => resolved.set = cut,
        _ => {
            // What stays for sure cannot be told from what is taken out: all of it is doubtful.
            resolved.set = AddressSet::default();
            let text = format!("address object {} with exceptions", object.name);
            resolved.atom(context.atoms.atom(&text, object.at));
        }
    }
}

impl Linker<'_> {
    /// Resolves the source or destination of a rule.
    pub(super) fn link_addresses(&mut self, addresses: &AddressMatch) -> LinkedAddresses {
        let mut context = Context { problems: self.problems, atoms: &mut self.atoms };
        let Resolved { set, atoms, .. } = self.addresses.items(&addresses.items, &mut context);
        if !addresses.negated {
            return LinkedAddresses { set, atoms, negated: false };
        }
        match set.complement() {
            Some(complement) if atoms.is_empty() => {
                LinkedAddresses { set: complement, atoms, negated: false }
            }
            _ => LinkedAddresses { set, atoms, negated: true },
        }
    }

    /// The addresses of an object; `None` when it has members without a value at analysis time, or
    /// that cannot be resolved.
    pub(super) fn address_object(&mut self, name: &str, at: Span) -> Option<AddressSet> {
        let mut context = Context { problems: self.problems, atoms: &mut self.atoms };
        let resolved = self.addresses.object(name, at, &mut context);
        resolved.atoms.is_empty().then(|| resolved.set.clone())
    }

    /// Resolves the addresses of a translation pool; the second part is the first atom among them.
    pub(super) fn link_pool(&mut self, items: &[At<AddressItem>]) -> (AddressSet, Option<AtomId>) {
        let mut context = Context { problems: self.problems, atoms: &mut self.atoms };
        let Resolved { set, atoms, .. } = self.addresses.items(items, &mut context);
        (set, atoms.first().copied())
    }
}
