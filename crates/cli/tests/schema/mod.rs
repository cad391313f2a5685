//! A checker for the part of JSON Schema that this command's schemas use. An unknown keyword is a
//! mistake, so that none is passed over.

use std::process::Command;

use serde_json::Value;

/// Fails unless `document` is what `parefeu schema NAME` says; `parefeu/NAME/1` names it too.
#[track_caller]
pub(crate) fn check(name: &str, document: &Value) {
    let faults = faults(name, document);
    assert_eq!(faults, Vec::<String>::new(), "{name}");
}

/// What of a document is not as its schema says.
pub(crate) fn faults(name: &str, document: &Value) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_parefeu"));
    let output = command.args(["schema", name]).output().unwrap();
    assert!(output.status.success(), "no schema {name}");
    let root: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut checker = Checker { root: &root, faults: Vec::new() };
    checker.value(&root, document, "$");
    checker.faults
}

struct Checker<'a> {
    root: &'a Value,
    faults: Vec<String>,
}

impl Checker<'_> {
    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        let Value::Object(keywords) = schema else {
            assert_eq!(*schema, Value::Bool(false), "a schema is an object, or forbids a value");
            self.faults.push(format!("{at}: must not be there"));
            return;
        };
        for (keyword, rule) in keywords {
            let holds = match keyword.as_str() {
                "$schema" | "title" | "description" | "$defs" | "format" => true,
                "$ref" => {
                    let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                    self.value(self.root.pointer(pointer).unwrap(), value, at);
                    true
                }
                "const" => value == rule,
                "enum" => rule.as_array().unwrap().contains(value),
                "type" => match rule {
                    Value::Array(kinds) => kinds.iter().any(|kind| is_a(value, kind)),
                    kind => is_a(value, kind),
                },
                "minimum" => value.as_f64().is_none_or(|it| it >= rule.as_f64().unwrap()),
                "maximum" => value.as_f64().is_none_or(|it| it <= rule.as_f64().unwrap()),
                "minItems" => value.as_array().is_none_or(|it| it.len() as u64 >= count(rule)),
                "maxItems" => value.as_array().is_none_or(|it| it.len() as u64 <= count(rule)),
                "pattern" => {
                    assert_eq!(rule, "^[0-9a-f]{64}$", "the one pattern this checker knows");
                    let text = value.as_str().unwrap_or_default();
                    text.len() == 64 && text.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'))
                }
                "required" => {
                    let names = rule.as_array().unwrap();
                    let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                    !value.is_object() || names.iter().all(has)
                }
                "properties" | "items" | "additionalProperties" | "propertyNames" => {
                    self.parts(schema, keyword, value, at);
                    true
                }
                other => panic!("this checker does not know `{other}`"),
            };
            if !holds {
                self.faults.push(format!("{at}: {keyword} {rule}, not {value}"));
            }
        }
    }

    fn parts(&mut self, schema: &Value, keyword: &str, value: &Value, at: &str) {
        let rule = &schema[keyword];
        if keyword == "items" {
            for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                self.value(rule, item, &format!("{at}[{index}]"));
            }
            return;
        }
        for (name, field) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            match keyword {
                "propertyNames" => self.value(rule, &Value::from(name.as_str()), &at),
                "properties" => {
                    if let Some(schema) = rule.get(name) {
                        self.value(schema, field, &at);
                    }
                }
                _ if schema["properties"].get(name).is_some() => {}
                _ => self.value(rule, field, &at),
            }
        }
    }
}

fn count(rule: &Value) -> u64 {
    rule.as_u64().unwrap()
}

fn is_a(value: &Value, kind: &Value) -> bool {
    match kind.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("this checker does not know the type `{other}`"),
    }
}
