//! Both layouts of a collection, and lists that are none.

use sensebind_drivers::sound_collection::{CollectionError, list};
use std::fs;

#[test]
fn an_index_beside_class_folders() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(
        dir.path().join("index.tsv"),
        "fold\tclass\tfile\ttitle\tauthor\tsource\tlicence\n2\train\tb.ogg\tRain\tAnn\tpage\tCC0\n1\train\ta.ogg\tDrops\tBob\tpage\tCC-BY\n",
    )
    .unwrap();
    let found = list(dir.path()).unwrap();
    assert_eq!(
        found.iter().map(|r| (r.fold, r.file.as_str())).collect::<Vec<_>>(),
        [(1, "a.ogg"), (2, "b.ogg")]
    );
    assert_eq!((found[0].author.as_str(), found[0].licence.as_str()), ("Bob", "CC-BY"));
    assert_eq!(found[0].path, dir.path().join("rain/a.ogg"));
}

#[test]
fn a_copy_of_esc_50_gives_its_ten_esc10_categories() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("meta")).unwrap();
    fs::write(
        dir.path().join("meta/esc50.csv"),
        "filename,fold,target,category,esc10,src_file,take\n1-1-A-0.wav,1,0,dog,True,1,A\n1-2-A-36.wav,1,36,vacuum_cleaner,False,2,A\n",
    )
    .unwrap();
    let found = list(dir.path()).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].label.as_str(), found[0].path.clone()),
        ("dog_bark", dir.path().join("audio/1-1-A-0.wav"))
    );
}

#[test]
fn lists_that_are_none_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(list(dir.path()), Err(CollectionError::UnknownLayout { .. })));
    for (text, expected) in [
        ("fold\tclass\n1\train\n", "no column \"file\""),
        (
            "fold\tclass\tfile\ttitle\tauthor\tsource\tlicence\n1\train\n",
            "2 columns, expected 7",
        ),
        (
            "fold\tclass\tfile\ttitle\tauthor\tsource\tlicence\nx\train\ta\t\t\t\t\n",
            "fold \"x\"",
        ),
        (
            "fold\tclass\tfile\ttitle\tauthor\tsource\tlicence\n1\train\t../../a\t\t\t\t\n",
            "no plain file name",
        ),
    ] {
        fs::write(dir.path().join("index.tsv"), text).unwrap();
        let error = list(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}
