//! `--intent FILE`: the flows that must be allowed, or denied.

use std::path::Path;

use parefeu_equivalence::Intent;

use crate::draw::Drawer;
use crate::written::{Known, Table, read_list, wanted};

/// The intents of a file, in order.
pub(crate) fn read_intents(
    path: &Path,
    known: &Known<'_>,
    drawer: &Drawer,
) -> anyhow::Result<Vec<Intent>> {
    read_list(path, "intent", drawer, |table| intent(table, known))
}

fn intent(table: &mut Table<'_, '_>, known: &Known<'_>) -> Option<Intent> {
    let (name, expect) = (table.text("name"), table.required("expect", wanted));
    let scope = table.scope(known);
    let line = table.line;
    Some(Intent { name: name?, scope, expect: expect?, line })
}
