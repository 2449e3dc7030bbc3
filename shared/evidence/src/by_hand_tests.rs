//! The script of docs/evidence.md, which an auditor runs without us.

use crate::Shelf;
use crate::folder::Folder;
use crate::verify::tests::shelf;
use std::path::Path;
use std::process::Command;

fn script() -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/evidence.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    docs.split("```sh\n").nth(1).unwrap().split("```").next().unwrap().to_owned()
}

#[tokio::test]
async fn the_script_of_the_docs_finds_what_is_wrong() {
    let (memory, keys, known) = shelf(12);
    let root = std::env::temp_dir().join(format!("suture-by-hand-{}", std::process::id()));
    let fill = async |leave_out: &[usize]| {
        let _ = std::fs::remove_dir_all(&root);
        let folder = Folder::new(&root);
        for (number, key) in keys.iter().enumerate().filter(|(number, _)| !leave_out.contains(number)) {
            let bytes = memory.get(key).await.unwrap().unwrap();
            folder
                .put_new(key, std::str::from_utf8(&bytes).unwrap())
                .await
                .unwrap_or_else(|why| panic!("{number}: {why}"));
        }
    };
    let run = || {
        let answer = Command::new("sh").arg("-c").arg(script()).current_dir(&root).output().unwrap();
        (answer.status.code(), String::from_utf8(answer.stdout).unwrap())
    };
    let end = format!("end: piece 12, {}\n", known.head.hash);

    fill(&[]).await;
    assert_eq!(run(), (Some(0), end.clone()));

    let path = root.join(&keys[4]);
    let changed = std::fs::read_to_string(&path).unwrap().replace("T10:", "T11:");
    std::fs::write(&path, changed).unwrap();
    let expected = format!("changed: the piece before {}, or {0} itself\n{end}", keys[5]);
    assert_eq!(run(), (Some(1), expected));

    fill(&[6]).await;
    let (code, says) = run();
    assert_eq!(code, Some(1));
    assert!(says.starts_with(&format!("missing or double: expected 7, found {}\n", keys[7])), "{says}");

    fill(&[10, 11]).await;
    let (code, says) = run();
    assert!(
        code == Some(0) && says.starts_with("end: piece 10, ") && says != end,
        "the end is for the ledger to say: {says}"
    );

    fill(&[3]).await;
    std::fs::copy(root.join(&keys[2]), root.join(&keys[3])).unwrap();
    let (code, says) = run();
    assert!(code == Some(1) && says.contains(&format!("renamed: {} holds 3", keys[3])), "{says}");
    std::fs::remove_dir_all(&root).unwrap();
}
