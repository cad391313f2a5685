//! Address, service and URL objects and their groups.

use std::collections::{BTreeSet, HashMap};

use parefeu_net::{PortRange, Protocol};
use parefeu_policy::set::{PortSet, ProtocolSet};
use parefeu_policy::{
    AddressItem, AddressObject, At, ServiceItem, ServiceObject, ServiceTerm, UrlCategory,
    UrlPattern,
};

use super::convert::Converter;
use super::filter::TagFilter;
use super::literal;
use super::profile::written;
use super::scope::{Kind, Object, ScopeId};
use super::tree::Element;

/// Members all dynamic groups together may take from tags; past it a group is only its filter.
const MAX_TAGGED_MEMBERS: usize = 1_000_000;

impl<'t> Converter<'t> {
    pub(super) fn convert_objects(&mut self) {
        let tagged = self.tagged_addresses();
        let mut budget = MAX_TAGGED_MEMBERS;
        for object in self.scopes.all(Kind::Address).to_vec() {
            let items = if object.section == "address" {
                self.address_items(object.element)
            } else {
                self.group_items(&object, &tagged, &mut budget)
            };
            let at = object.element.at();
            let object = AddressObject { name: object.name, items, except: Vec::new(), at };
            self.firewall.addresses.push(object);
        }
        for object in self.scopes.all(Kind::Region).to_vec() {
            let members = object.element.under("address");
            let items = members.map(|member| {
                let at = member.at();
                let item = literal::address(member.name());
                let unknown = || AddressItem::Unknown(format!("address {}", member.name()));
                At::new(item.unwrap_or_else(unknown), at)
            });
            let (name, items) = (region_name(&object.name), items.collect());
            let at = object.element.at();
            self.firewall.addresses.push(AddressObject { name, items, except: Vec::new(), at });
        }
        for object in self.scopes.all(Kind::Service).to_vec() {
            let items = if object.section == "service" {
                self.service_items(object.element)
            } else {
                let members = object.element.under("members");
                let mut items: Vec<At<ServiceItem>> =
                    members.map(|member| self.resolve_service(object.scope, member)).collect();
                let unread = self.unread_of_group(&object, &["members"]);
                items.extend(
                    unread.into_iter().map(|it| At::new(ServiceItem::Unknown(it.value), it.at)),
                );
                items
            };
            let at = object.element.at();
            self.firewall.services.push(ServiceObject { name: object.name, items, at });
        }
        for object in self.scopes.all(Kind::UrlCategory).to_vec() {
            self.convert_url_category(&object);
        }
    }

    fn address_items(&mut self, element: Element<'t>) -> Vec<At<AddressItem>> {
        let mut items = Vec::new();
        for field in element.children() {
            let Some(value) = field.children().last() else { continue };
            let text = value.name();
            let item = match field.name() {
                "description" | "tag" | "disable-override" | "id" => continue,
                "ip-netmask" => literal::network(text).map(AddressItem::Network),
                "ip-range" => literal::address(text),
                "ip-wildcard" => literal::wildcard(text),
                "fqdn" => Some(AddressItem::Unknown(format!("fqdn {}", text.to_lowercase()))),
                other => {
                    self.unknown_element(field, "address object");
                    Some(AddressItem::Unknown(format!("address {}", written(field, other))))
                }
            };
            let item = item.unwrap_or_else(|| {
                if text.starts_with('$') {
                    if let Some(item) = self.variable(text).and_then(literal::address) {
                        return item;
                    }
                    let message = format!("the value of variable `{text}` is not known");
                    self.problems.unsupported("variable", value.at(), message);
                    let digest = self.digest_of_variable(text);
                    return AddressItem::Unknown(format!("address {text} (definitions {digest})"));
                }
                let message = format!("`{text}` is no {}", field.name());
                self.problems.error("bad-address", value.at(), message);
                AddressItem::Unknown(format!("address {text}"))
            });
            items.push(At::new(item, value.at()));
        }
        items
    }

    fn group_items(
        &mut self,
        group: &Object<'t>,
        tagged: &Tagged<'t>,
        budget: &mut usize,
    ) -> Vec<At<AddressItem>> {
        let mut items: Vec<At<AddressItem>> = group
            .element
            .under("static")
            .map(|member| self.resolve_address(group.scope, member))
            .collect();
        let filter = group.element.child("dynamic").and_then(|dynamic| dynamic.value("filter"));
        if let Some(filter) = filter {
            // Addresses are also registered with tags at run time, so the members are never all
            // known.
            let mut text = format!("addresses registered for tags {}", filter.name());
            let parsed = TagFilter::parse(filter.name());
            if parsed.is_none() {
                let message = "this tag expression is not understood";
                self.problems.unsupported("tag-filter", filter.at(), message);
            }
            let members =
                parsed.and_then(|parsed| self.tagged_members(group, &parsed, tagged, budget));
            match members {
                Some(members) => {
                    items.extend(members.into_iter().map(|item| At::new(item, filter.at())));
                }
                None => text = self.among_tagged(text, group.scope, tagged),
            }
            items.push(At::new(AddressItem::Unknown(text), filter.at()));
        }
        let unread = self.unread_of_group(group, &["static", "dynamic"]);
        items.extend(unread.into_iter().map(|it| At::new(AddressItem::Unknown(it.value), it.at)));
        items
    }

    /// What a group holds that is not read: members that stand in no list, as releases before 6.0
    /// wrote them, are not told from other things.
    fn unread_of_group(&mut self, group: &Object<'t>, known: &[&str]) -> Vec<At<String>> {
        let aside = ["description", "tag", "disable-override", "id"];
        let fields = group.element.children();
        let unread = fields.filter(|it| !known.contains(&it.name()) && !aside.contains(&it.name()));
        let unread: Vec<Element<'t>> = unread.collect();
        for field in &unread {
            self.unknown_element(*field, "group");
        }
        let said = |it: &Element<'t>| {
            let text = format!("{} field {}", group.section, written(*it, it.name()));
            At::new(self.scopes.qualified(text, group.scope, [*it]), it.at())
        };
        unread.iter().map(said).collect()
    }

    /// What the members of a group come to of which it is only known that they have tags.
    fn among_tagged(&self, text: String, scope: ScopeId, tagged: &Tagged<'t>) -> String {
        let all = self.scopes.all(Kind::Address).iter().zip(&tagged.tags);
        let all = all.filter(|(object, tags)| {
            !tags.is_empty() && self.scopes.is_visible(Kind::Address, scope, object)
        });
        self.scopes.qualified(text, scope, all.map(|(object, _)| object.element))
    }

    fn tagged_addresses(&self) -> Tagged<'t> {
        let mut tagged = Tagged { by_tag: HashMap::new(), tags: Vec::new() };
        for (at, object) in self.scopes.all(Kind::Address).iter().enumerate() {
            let tags: BTreeSet<&str> = object.element.under("tag").map(Element::name).collect();
            for tag in &tags {
                tagged.by_tag.entry(*tag).or_default().push(at);
            }
            tagged.tags.push(tags);
        }
        tagged
    }

    fn tagged_members(
        &mut self,
        group: &Object<'t>,
        filter: &TagFilter,
        tagged: &Tagged<'t>,
        budget: &mut usize,
    ) -> Option<Vec<AddressItem>> {
        let mut candidates = BTreeSet::new();
        for tag in filter.tags() {
            let found = tagged.by_tag.get(tag).map(Vec::as_slice).unwrap_or_default();
            let Some(left) = budget.checked_sub(found.len()) else {
                let message =
                    format!("tags name more than {MAX_TAGGED_MEMBERS} members in all groups");
                self.problems.unsupported("too-many-members", group.element.at(), message);
                return None;
            };
            *budget = left;
            candidates.extend(found.iter().copied());
        }
        let all = self.scopes.all(Kind::Address);
        let matching = candidates
            .into_iter()
            .filter(|at| tagged.tags.get(*at).is_some_and(|tags| filter.matches(tags)));
        let objects = matching.filter_map(|at| all.get(at)).filter(|object| {
            object.name != group.name && self.scopes.is_visible(Kind::Address, group.scope, object)
        });
        Some(objects.map(|object| AddressItem::Object(object.name.clone())).collect())
    }

    /// What a name in a source, destination or group means. An object hides a literal of the same
    /// text.
    pub(super) fn resolve_address(&self, scope: ScopeId, member: Element<'t>) -> At<AddressItem> {
        let name = member.name();
        let item = if name == "any" {
            AddressItem::Any
        } else if let Some(object) = self.scopes.find(Kind::Address, scope, name) {
            AddressItem::Object(object.name.clone())
        } else if self.scopes.find(Kind::ExternalList, scope, name).is_some()
            || name.starts_with("panw-")
        {
            let text = format!("external list {name}");
            AddressItem::Unknown(self.scopes.qualified(text, scope, [member]))
        } else if let Some(region) = self.scopes.find(Kind::Region, scope, name) {
            AddressItem::Object(region_name(&region.name))
        } else if let Some(item) = literal::address(name) {
            item
        } else if literal::is_country(name) {
            AddressItem::Unknown(format!("region {name}"))
        } else {
            AddressItem::Object(name.to_owned())
        };
        At::new(item, member.at())
    }

    fn service_items(&mut self, element: Element<'t>) -> Vec<At<ServiceItem>> {
        let mut items = Vec::new();
        for field in element.children() {
            match field.name() {
                "description" | "tag" | "disable-override" | "id" => {}
                "protocol" => {
                    for protocol in field.children() {
                        items.push(self.service_item(protocol));
                    }
                }
                _ => {
                    self.unknown_element(field, "service object");
                    let text = format!("service field {}", written(field, field.name()));
                    items.push(At::new(ServiceItem::Unknown(text), field.at()));
                }
            }
        }
        items
    }

    fn service_item(&mut self, protocol: Element<'t>) -> At<ServiceItem> {
        let at = protocol.at();
        let number = match protocol.name() {
            "tcp" => Some(Protocol::TCP),
            "udp" => Some(Protocol::UDP),
            "sctp" => Some(Protocol::SCTP),
            _ => None,
        };
        self.report_service_fields(protocol);
        let dst = protocol.value("port");
        let src = protocol.value("source-port");
        let (Some(number), Some(dst)) = (number, dst) else {
            let message = "a service needs a protocol (tcp, udp or sctp) and a port";
            self.problems.unsupported("incomplete-service", at, message);
            let text = format!("service without port: {}", written(protocol, protocol.name()));
            return At::new(ServiceItem::Unknown(text), at);
        };
        let dst_ports = self.port_set(dst);
        let src_ports = src.map_or_else(|| Some(PortSet::all()), |src| self.port_set(src));
        let item = match (src_ports, dst_ports) {
            (Some(src_ports), Some(dst_ports)) => {
                let protocols = ProtocolSet::single(number);
                ServiceItem::Term(ServiceTerm { protocols, src_ports, dst_ports, icmp: None })
            }
            _ => ServiceItem::Unknown(format!("ports {}", dst.name())),
        };
        At::new(item, at)
    }

    /// What a service says besides its ports.
    fn report_service_fields(&mut self, protocol: Element<'t>) {
        for field in protocol.children() {
            match field.name() {
                "port" | "source-port" => {}
                // Its own timers, or `no`.
                "override" => {
                    if let Some(timers) = field.child("yes").filter(|it| it.children().count() > 0)
                    {
                        let message = format!(
                            "timers of a service of its own are not modelled: {}",
                            written(timers, "override")
                        );
                        self.problems.unsupported("service-timers", field.at(), message);
                    }
                }
                _ => self.unknown_element(field, "service object"),
            }
        }
    }

    fn port_set(&mut self, value: Element<'t>) -> Option<PortSet> {
        let ports = literal::ports(value.name());
        if ports.is_none() {
            let message = format!("`{}` is no list of ports", value.name());
            self.problems.error("bad-port", value.at(), message);
        }
        ports
    }

    pub(super) fn resolve_service(
        &mut self,
        scope: ScopeId,
        member: Element<'t>,
    ) -> At<ServiceItem> {
        let name = member.name();
        let item = if name == "any" {
            ServiceItem::Any
        } else if name == "application-default" {
            ServiceItem::ApplicationDefault
        } else if let Some(object) = self.scopes.find(Kind::Service, scope, name) {
            ServiceItem::Object(object.name.clone())
        } else {
            self.add_predefined_service(name);
            ServiceItem::Object(name.to_owned())
        };
        At::new(item, member.at())
    }

    /// `service-http` and `service-https` exist without being written.
    fn add_predefined_service(&mut self, name: &str) {
        let ports: &[u16] = match name {
            "service-http" => &[80, 8080],
            "service-https" => &[443],
            _ => return,
        };
        if self.predefined_services.insert(name.to_owned()) {
            let ports = ports.iter().copied().map(PortRange::single).collect();
            let term = ServiceTerm::to_ports(ProtocolSet::single(Protocol::TCP), ports);
            let items = vec![At::new(ServiceItem::Term(term), super::IMPLIED)];
            let name = name.to_owned();
            self.firewall.services.push(ServiceObject { name, items, at: super::IMPLIED });
        }
    }

    fn convert_url_category(&mut self, object: &Object<'t>) {
        let element = object.element;
        let kind = element.value("type").map_or("URL List", Element::name);
        if kind != "URL List" {
            let listed: Vec<&str> = element.under("list").map(Element::name).collect();
            let text = format!("URL in all of the categories {}", listed.join(", "));
            let text = self.scopes.qualified(text, object.scope, element.under("list"));
            self.category_matches.insert(object.name.clone(), text);
            return;
        }
        let mut patterns = Vec::new();
        for pattern in element.under("list") {
            if let Err(error) = UrlPattern::parse(pattern.name()) {
                let message = format!("URL pattern `{}` is unusable: {error}", pattern.name());
                self.problems.unsupported("bad-pattern", pattern.at(), message);
                // Without this pattern the category is not what the device has: nothing is known of
                // it.
                let text = format!("URL in {}", written(element, &object.name));
                self.category_matches.insert(object.name.clone(), text);
                return;
            }
            patterns.push(pattern.named());
        }
        let (name, at) = (object.name.clone(), element.at());
        self.firewall.url_categories.push(UrlCategory { name, patterns, at });
    }
}

/// Address objects and groups by their tags, as positions among all of them.
struct Tagged<'t> {
    by_tag: HashMap<&'t str, Vec<usize>>,
    tags: Vec<BTreeSet<&'t str>>,
}

/// Regions are named apart from address objects.
fn region_name(name: &str) -> String {
    format!("region {name}")
}
