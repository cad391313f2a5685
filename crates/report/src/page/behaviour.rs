//! Settings of session keeping on which the two firewalls do not agree.

use super::Context;
use super::html::Html;
use super::vocabulary::setting;
use crate::behaviour::{Setting, settings};

/// Writes the table; nothing where all settings agree.
pub(super) fn write(html: &mut Html, context: &Context<'_>) {
    let (words, settings) = (context.words, settings(context.report));
    if settings.is_empty() {
        return;
    }
    html.raw("<section aria-labelledby=\"settings\">\n");
    html.element("h2 id=\"settings\"", words.settings);
    html.element("p", words.settings_lead);
    let columns = [words.setting, words.old, words.new, words.setting_meaning];
    html.open_table("settings-table", words.settings, &columns);
    let value = |value| match value {
        "on" => words.setting_on,
        "off" => words.setting_off,
        other => other,
    };
    for Setting { name, old, new } in settings {
        let meaning = setting(context.language, name);
        html.raw("<tr><th scope=\"row\">").element("code", name).raw("</th>");
        html.element("td", value(old)).element("td", value(new)).element("td", meaning);
        html.raw("</tr>\n");
    }
    html.close_table();
    html.raw("</section>\n");
}
