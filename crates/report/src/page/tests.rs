//! The page without traffic.
#[test]
fn text_from_files_is_escaped() {
    let escaped = super::html::escape("<script>&\"'\u{202e}\0");
    assert_eq!(escaped, "&lt;script&gt;&amp;&quot;&#39;[U+202E]\u{fffd}");
}
