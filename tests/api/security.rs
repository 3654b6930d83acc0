//! The threat model names tests; every one of them is there.

use crate::pipeline::repo;

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let page = std::fs::read_to_string(repo("docs/SECURITY.md")).unwrap();
    let mut checked = 0;
    for name in page.split('`').filter(|word| word.contains("::") && !word.contains(char::is_whitespace)) {
        let mut parts: Vec<&str> = name.split("::").collect();
        let mut path = repo("tests");
        let test = if parts.len() > 2 { parts.pop() } else { None };
        parts.iter().for_each(|part| path.push(part));
        let source = std::fs::read_to_string(path.with_extension("rs")).unwrap_or_else(|_| panic!("{name}"));
        if let Some(test) = test {
            let start = format!("fn {}", test.trim_end_matches('…'));
            assert!(source.contains(&start), "{name}");
        }
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}
