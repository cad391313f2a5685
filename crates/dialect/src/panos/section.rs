//! Where the parts of a configuration are: devices, virtual systems, shared and pushed objects.

use std::iter;

use parefeu_policy::Diagnostics;

use super::definition::digest_of;
use super::tree::{Element, all_at};

/// A virtual system: its own element, and what a `set` file writes without naming one.
pub(super) struct Vsys<'t> {
    pub(super) name: String,
    pub(super) parts: Vec<Element<'t>>,
    /// What Panorama pushed for it alone: `panorama vsys NAME`.
    pub(super) pushed: Vec<Element<'t>>,
}

impl<'t> Vsys<'t> {
    /// Where its objects are defined. A name the device and Panorama both define cannot be
    /// committed (*Manage Precedence of Inherited Objects*, Panorama Administrator's Guide).
    pub(super) fn definitions(&self) -> Vec<Element<'t>> {
        self.parts.iter().chain(&self.pushed).copied().collect()
    }
}

/// A device group of Panorama.
#[derive(Clone)]
pub(super) struct DeviceGroup<'t> {
    pub(super) name: String,
    pub(super) element: Element<'t>,
    pub(super) parent: Option<String>,
}

/// One of the rule bases that make up the rules of a device group.
pub(super) struct Part<'s, 't> {
    /// The group that owns it; `None` for the shared one.
    pub(super) owner: Option<&'s str>,
    pub(super) section: &'static str,
    pub(super) rule_bases: Vec<Element<'t>>,
}

/// The parts of a configuration, found wherever the three syntaxes and exports put them.
#[derive(Default)]
pub(super) struct Sections<'t> {
    pub(super) shared: Vec<Element<'t>>,
    /// What Panorama pushed for every virtual system: `policy panorama`.
    pub(super) pushed: Vec<Element<'t>>,
    pub(super) network: Vec<Element<'t>>,
    pub(super) deviceconfig: Vec<Element<'t>>,
    pub(super) vsys: Vec<Vsys<'t>>,
    pub(super) device_groups: Vec<DeviceGroup<'t>>,
    pub(super) templates: Vec<Element<'t>>,
    pub(super) template_stacks: Vec<Element<'t>>,
    readonly: Vec<Element<'t>>,
}

/// The virtual system a `set` command without `vsys` speaks of.
const DEFAULT_VSYS: &str = "vsys1";

impl<'t> Sections<'t> {
    pub(super) fn find(root: Element<'t>, problems: &mut Diagnostics) -> Self {
        let mut sections = Self::default();
        sections.config(root, problems);
        sections.find_parents();
        sections
    }

    /// A whole configuration, or a part of one at the top of the text.
    fn config(&mut self, element: Element<'t>, problems: &mut Diagnostics) {
        let mut vsys_content = false;
        for child in element.children() {
            match child.name() {
                "config" | "response" | "result" => self.config(child, problems),
                "shared" => {
                    report_unknown(child, problems);
                    self.shared.push(child);
                }
                "devices" => child.children().for_each(|device| self.device(device, problems)),
                "policy" => self.pushed.extend(child.child("panorama")),
                "panorama" => self.panorama(child, problems),
                "readonly" => self.readonly.push(child),
                name if DEVICE_SECTIONS.contains(&name) => self.device_section(child, problems),
                name if VSYS_SECTIONS.contains(&name) => vsys_content = true,
                name if IRRELEVANT.contains(&name) => {}
                _ => report(child, problems),
            }
        }
        if vsys_content {
            self.vsys_part(DEFAULT_VSYS, element);
        }
    }

    fn device(&mut self, device: Element<'t>, problems: &mut Diagnostics) {
        for child in device.children() {
            let name = child.name();
            if DEVICE_SECTIONS.contains(&name) {
                self.device_section(child, problems);
            } else if !IRRELEVANT.contains(&name) {
                report(child, problems);
            }
        }
    }

    fn device_section(&mut self, section: Element<'t>, problems: &mut Diagnostics) {
        match section.name() {
            "network" => self.network.push(section),
            "deviceconfig" => self.deviceconfig.push(section),
            "vsys" => {
                for vsys in section.children() {
                    report_unknown(vsys, problems);
                    self.vsys_part(vsys.name(), vsys);
                }
            }
            "device-group" => {
                for element in section.children() {
                    report_unknown(element, problems);
                    let parent = element.value("parent-dg").map(|dg| dg.name().to_owned());
                    let name = element.name().to_owned();
                    self.device_groups.push(DeviceGroup { name, element, parent });
                }
            }
            "template" => self.templates.extend(section.children()),
            _ => self.template_stacks.extend(section.children()),
        }
    }

    /// A managed firewall keeps what Panorama pushed here, rules and objects by virtual system; a
    /// Panorama keeps its own log collection here.
    fn panorama(&mut self, panorama: Element<'t>, problems: &mut Diagnostics) {
        for child in panorama.children() {
            match child.name() {
                "vsys" => {
                    for vsys in child.children() {
                        report_unknown(vsys, problems);
                        self.vsys_named(vsys.name()).pushed.push(vsys);
                    }
                }
                name if IRRELEVANT.contains(&name) => {}
                _ => report(child, problems),
            }
        }
    }

    fn vsys_part(&mut self, name: &str, part: Element<'t>) {
        self.vsys_named(name).parts.push(part);
    }

    fn vsys_named(&mut self, name: &str) -> &mut Vsys<'t> {
        let known = self.vsys.iter().position(|vsys| vsys.name == name);
        let at = known.unwrap_or_else(|| {
            let (parts, pushed) = (Vec::new(), Vec::new());
            self.vsys.push(Vsys { name: name.to_owned(), parts, pushed });
            self.vsys.len() - 1
        });
        &mut self.vsys[at]
    }

    /// Panorama writes the parents of device groups apart, under `readonly`.
    fn find_parents(&mut self) {
        let groups = self.readonly.iter().flat_map(|readonly| readonly.under("devices"));
        for group in groups.flat_map(|device| device.under("device-group")) {
            let parent = group.value("parent-dg").map(|parent| parent.name().to_owned());
            let known = self.device_groups.iter_mut().find(|known| known.name == group.name());
            if let Some(known) = known.filter(|known| known.parent.is_none()) {
                known.parent = parent;
            }
        }
    }

    /// The group's ancestors, nearest first; a cycle ends the walk.
    pub(super) fn ancestors<'s>(&'s self, group: &DeviceGroup<'t>) -> Vec<&'s DeviceGroup<'t>> {
        let mut found: Vec<&'s DeviceGroup<'t>> = Vec::new();
        let own = self.device_groups.iter().find(|known| known.name == group.name);
        let mut parent = own.and_then(|own| own.parent.as_deref());
        while let Some(name) = parent {
            let next = self.device_groups.iter().find(|known| known.name == name);
            let Some(next) = next.filter(|next| {
                next.name != group.name && found.iter().all(|known| known.name != next.name)
            }) else {
                break;
            };
            found.push(next);
            parent = next.parent.as_deref();
        }
        found
    }

    /// The first group without groups below it: the kind devices are in.
    pub(super) fn first_leaf(&self) -> Option<&DeviceGroup<'t>> {
        let is_parent =
            |name: &str| self.device_groups.iter().any(|it| it.parent.as_deref() == Some(name));
        let leaf = self.device_groups.iter().find(|group| !is_parent(&group.name));
        leaf.or(self.device_groups.first())
    }

    /// The rule bases of a group in the order they are evaluated: shared and ancestors' pre rules,
    /// its own, then the post rules in reverse.
    pub(super) fn parts_of<'s>(&'s self, group: &DeviceGroup<'t>) -> Vec<Part<'s, 't>> {
        let own = self.device_groups.iter().find(|it| it.name == group.name);
        let groups = self.ancestors(group).into_iter().rev().chain(own);
        let chain: Vec<Option<&'s DeviceGroup<'t>>> =
            iter::once(None).chain(groups.map(Some)).collect();
        let before = chain.iter().map(|owner| (*owner, "pre-rulebase"));
        let after = chain.iter().rev().map(|owner| (*owner, "post-rulebase"));
        let part = |(owner, section): (Option<&'s DeviceGroup<'t>>, &'static str)| Part {
            owner: owner.map(|owner| owner.name.as_str()),
            section,
            rule_bases: match owner {
                Some(owner) => owner.element.child(section).into_iter().collect(),
                None => all_at(&self.shared, &[section]),
            },
        };
        before.chain(after).map(part).collect()
    }

    /// The `config` of the template stack that serves a device of the group, then those of its
    /// templates in their order: the first one that says something counts (*Configure a Template
    /// Stack*, Panorama Administrator's Guide). A group without devices is served by the only
    /// stack, else by the only template.
    pub(super) fn templates_of(
        &self,
        group: &DeviceGroup<'t>,
        problems: &mut Diagnostics,
    ) -> Vec<Element<'t>> {
        let devices: Vec<&str> = group.element.under("devices").map(Element::name).collect();
        let serves = |stack: &&Element<'t>| {
            stack.under("devices").any(|device| devices.contains(&device.name()))
        };
        let mut serving = self.template_stacks.iter().filter(serves);
        let stack = serving.next();
        for other in serving {
            let message = format!(
                "devices of `{}` are in several template stacks: the network is that of the first",
                group.name
            );
            let named = other.under("templates").map(Element::name).collect::<Vec<_>>();
            let templates = self.templates.iter().filter(|it| named.contains(&it.name()));
            for unread in iter::once(other).chain(templates) {
                problems.unsupported("several-template-stacks", unread.at(), &*message);
            }
        }
        let stack = stack.or(match self.template_stacks.as_slice() {
            [only] if devices.is_empty() || !only.has("devices") => Some(only),
            _ => None,
        });
        let Some(stack) = stack else {
            let only = self.templates.first().filter(|_| self.templates.len() == 1);
            return only.and_then(|template| template.child("config")).into_iter().collect();
        };
        let names = stack.under("templates");
        let find = |name: Element<'t>| self.templates.iter().find(|it| it.name() == name.name());
        let templates = names.filter_map(find).filter_map(|template| template.child("config"));
        stack.child("config").into_iter().chain(templates).collect()
    }

    /// Where variables are defined: in templates and stacks, and for single devices of a stack.
    pub(super) fn variables(&self) -> Vec<Element<'t>> {
        let devices = self.template_stacks.iter().flat_map(|stack| stack.under("devices"));
        let owners = self.template_stacks.iter().chain(&self.templates).copied().chain(devices);
        owners.filter_map(|owner| owner.child("variable")).collect()
    }

    /// Whether the text defines any zone.
    pub(super) fn has_zones(&self) -> bool {
        let zones = |part: &Element<'t>| part.under("zone").next().is_some();
        self.vsys.iter().flat_map(|vsys| &vsys.parts).any(zones)
    }
}

/// Names what is not understood, and what is not modelled, in a virtual system, a device group or
/// what they share.
fn report_unknown(element: Element<'_>, problems: &mut Diagnostics) {
    for child in element.children() {
        let known = [VSYS_SECTIONS, IRRELEVANT_IN_VSYS, IRRELEVANT];
        if !known.iter().any(|sections| sections.contains(&child.name())) {
            report(child, problems);
        }
    }
}

/// Says of a section that it is not modelled or not understood.
fn report(section: Element<'_>, problems: &mut Diagnostics) {
    let name = section.name();
    match NOT_MODELLED.iter().find(|it| it.0 == name) {
        Some((_, message)) if section.children().next().is_some() => {
            problems.unsupported("not-modelled", section.at(), *message);
            problems.defined(digest_of(section));
        }
        Some(_) => {}
        None => {
            let message = format!("`{name}` is no section this reads");
            problems.unsupported("unknown-section", section.at(), message);
            problems.defined(digest_of(section));
        }
    }
}

const DEVICE_SECTIONS: &[&str] =
    &["network", "deviceconfig", "vsys", "device-group", "template", "template-stack"];

const VSYS_SECTIONS: &[&str] = &[
    "address",
    "address-group",
    "service",
    "service-group",
    "application",
    "application-group",
    "application-filter",
    "external-list",
    "profiles",
    "region",
    "schedule",
    "zone",
    "import",
    "rulebase",
    "pre-rulebase",
    "post-rulebase",
    "tag",
    "alg-override",
];

/// Sections that change what happens to traffic, and how that is not modelled.
const NOT_MODELLED: &[(&str, &str)] = &[
    ("threats", "threats of one's own are not looked for"),
    ("dynamic-user-group", "users who are grouped by tags are not known"),
    ("application-status", "applications that are switched off are recognised all the same"),
];

/// Sections that cannot change what happens to traffic.
const IRRELEVANT: &[&str] = &[
    "mgt-config",
    "log-collector",
    "log-collector-group",
    "collector-group",
    "log-settings",
    "plugins",
    "wildfire-appliance",
    "wildfire-appliance-cluster",
    "global-protect",
    "user-id-collector",
    "user-id-agent",
    "import",
    "display-name",
    "hostname",
    "cli",
    "tag",
    "certificate",
    "server-profile",
    "authentication-profile",
    "authentication-sequence",
    "reports",
    "pdf-summary-report",
    "report-group",
    "email-scheduler",
    "botnet",
    "local-user-database",
    "group-mapping",
    "captive-portal",
    "ts-agent",
    "ssl-tls-service-profile",
    "ssl-decrypt",
    "url-admin-override",
    "setting",
    "profile-group",
    "description",
    "redistribution-agent",
    "redistribution-collector",
    "certificate-profile",
    "ocsp-responder",
    "admin-role",
    "response-page",
    "vm-info-source",
    "scep",
    "dns-proxy",
    "content-preview",
    "sdwan-interface-profile",
    "device-object",
];

/// Sections of a virtual system or device group that cannot change what happens to traffic.
const IRRELEVANT_IN_VSYS: &[&str] = &[
    "display-name",
    "description",
    "devices",
    "parent-dg",
    "reference-templates",
    "to-sw-version",
    "master-device",
    "id",
    "log-settings",
    "setting",
    "profile-group",
    "authentication-object",
    "authentication-profile",
    "authentication-sequence",
    "certificate",
    "certificate-profile",
    "captive-portal",
    "dns-proxy",
    "email-scheduler",
    "external-list-exception",
    "global-protect",
    "group-mapping",
    "url-filtering",
    "local-user-database",
    "ocsp-responder",
    "pdf-summary-report",
    "redistribution-agent",
    "report-group",
    "reports",
    "response-page",
    "scep",
    "server-profile",
    "ssl-decrypt",
    "ssl-tls-service-profile",
    "ts-agent",
    "url-admin-override",
    "user-id-agent",
    "user-id-agent-sequence",
    "user-id-hub",
    "user-id-ssl-auth",
    "vm-info-source",
    "authorization-code",
    "application-tag",
    "device-object",
    "sdwan-interface-profile",
    "nat",
];
