//! The columns' names, and how settings speak of them.

use super::*;

fn named(rename: &[(&str, &str)], types: &[(&str, &str)]) -> CsvSettings {
    settings(|settings| {
        let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        settings.delimiter = Some(b',');
        settings.rename = rename.iter().map(owned).collect();
        settings.columns = typed(types).columns;
    })
}

#[test]
fn columns_are_renamed_for_the_lake() {
    // `columns` speaks of the header's names.
    let settings = named(&[("Order ID", "order_id"), ("zip", "code")], &[("Order ID", "text")]);
    assert_eq!(
        read_as(b"Order ID,zip,c\n1,2,3\n", &settings),
        expected(&["order_id text", "code bigint", "c bigint"], &[&["1", "2", "3"]])
    );
    // Names may change places.
    assert_eq!(
        read_as(b"a,b\n1,x\n", &named(&[("a", "b"), ("b", "a")], &[])),
        expected(&["b bigint", "a text"], &[&["1", "x"]])
    );
    let headless = CsvSettings {
        header: Some(false),
        ..named(&[("column_2", "word")], &[("column_2", "text")])
    };
    assert_eq!(
        read_as(b"1,2\n", &headless),
        expected(&["column_1 bigint", "word text"], &[&["1", "2"]])
    );
}

#[test]
fn columns_without_a_name_of_their_own_are_called_by_their_place() {
    let settings = named(&[("column_2", "second"), ("column_3", "b")], &[("column_3", "text")]);
    assert_eq!(
        read_as(b"a,a,\n1,2,3\n", &settings),
        expected(&["a bigint", "second bigint", "b text"], &[&["1", "2", "3"]])
    );
    // A trailing delimiter on every line.
    assert_eq!(
        read_as(b"a,b,\n1,2,\n", &named(&[("column_3", "rest")], &[])),
        expected(&["a bigint", "b bigint", "rest text"], &[&["1", "2", "∅"]])
    );
    // A name of the header goes first.
    assert_eq!(
        read_as(b"column_2,b\n1,x\n", &named(&[("column_2", "a")], &[])),
        expected(&["a bigint", "b text"], &[&["1", "x"]])
    );
}

#[test]
fn wrong_names_are_refused() {
    for (text, rename, types, message) in [
        (
            "Order ID,zip\n",
            &[("order_id", "id")][..],
            &[][..],
            "`rename` speaks of a column \"order_id\", which the file does not have; did you mean \"Order ID\"?",
        ),
        (
            "id,zip\n",
            &[("quantity", "q")],
            &[],
            "`rename` speaks of a column \"quantity\", which the file does not have: it has id, zip",
        ),
        (
            "id,zip\n",
            &[("column_3", "q")],
            &[],
            "`rename` speaks of a column \"column_3\", which the file does not have: it has id, zip",
        ),
        // `columns` speaks of the header's names, not of the new ones.
        (
            "id,zip\n",
            &[("zip", "postcode")],
            &[("postcode", "text")],
            "`columns` speaks of a column \"postcode\", which the file does not have: it has id, zip",
        ),
        (
            "a,b\n",
            &[("b", "A")],
            &[],
            "line 1: columns 1 (\"a\") and 2 (\"A\") would have the same name but for case: give one another with `rename: \
             {b: …}`, or set `header: false` if this line is a row",
        ),
        (
            "a,b,c\n",
            &[("a", "x"), ("b", "x")],
            &[],
            "line 1: columns 1 (\"x\") and 2 (\"x\") would have the same name but for case: give one another with `rename: \
             {b: …}`, or set `header: false` if this line is a row",
        ),
        (
            "a,b c,B C\n",
            &[],
            &[],
            "line 1: columns 2 (\"b c\") and 3 (\"B C\") would have the same name but for case: give one another with \
             `rename: {\"B C\": …}`, or set `header: false` if this line is a row",
        ),
        (
            "a,a\n",
            &[("a", "b")],
            &[],
            "`rename` speaks of a column \"a\", but columns 1 and 2 are both called so: write `column_1` or `column_2`",
        ),
        (
            "a,a\n",
            &[("column_2", "b")],
            &[("a", "text")],
            "`columns` speaks of a column \"a\", but columns 1 and 2 are both called so: write `column_1` or `column_2`",
        ),
        (
            "a,b\n",
            &[("a", "x"), ("column_1", "y")],
            &[],
            "`rename` calls column 1 both \"x\" and \"y\"",
        ),
        (
            "a,b\n",
            &[],
            &[("a", "text"), ("column_1", "date")],
            "`columns` sets two types for column 1",
        ),
        ("a,b\n", &[("a", "")], &[], "`rename` gives column \"a\" an empty name"),
    ] {
        assert_refused(text.as_bytes(), &named(rename, types), message);
    }
}

#[test]
fn errors_speak_of_columns_as_settings_do() {
    for (text, column, message) in [
        (
            "Order ID,b\nx,y\n",
            "Order ID",
            "line 2: column \"Order ID\": \"x\" is not exactly a bigint: `columns: {\"Order ID\": text}` carries it as \
             it is",
        ),
        (
            ",b\nx,y\n",
            "column_1",
            "line 2: column \"column_1\": \"x\" is not exactly a bigint: `columns: {column_1: text}` carries it as it is",
        ),
    ] {
        let settings = named(&[(column, "id")], &[(column, "bigint")]);
        assert_refused(text.as_bytes(), &settings, message);
    }
}

#[test]
fn types_of_other_days_are_kept_by_the_names_in_the_lake() {
    let before = open(b"price\n1.50\n", &CsvSettings::default(), 64).expect("a sound file");
    let mut file = open(b"Price EUR\n2\n", &named(&[("Price EUR", "price")], &[]), 64).expect("a sound file");
    file.keep_types(&before.schema());
    assert_eq!(file.schema(), before.schema());
}
