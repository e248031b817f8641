//! Arrays that a list can't hold: their columns become text, and the days before are what the server would have
//! printed.

use crate::workshop::Workshop;

const CONFIG: &str = r#"
lake: ./lake
output: ./output
sources:
  shop: {type: postgres, url: "${SOURCE_URL}"}
target: {type: postgres, url: "${TARGET_URL}", schema: "{schema}"}
"#;

const DAYS: [&str; 3] = ["2026-01-01", "2026-01-02", "2026-01-03"];

/// Types of elements, each with a list of one dimension.
const LISTS: &[(&str, &str)] = &[
    ("bool", "{t,f,NULL}"),
    ("int2", "{-32768,32767}"),
    ("int4", "{}"),
    ("int8", "{-9223372036854775808,NULL,0}"),
    ("oid", "{4294967295}"),
    (
        "real",
        "{1000000,123456,0.000015,0.0001,NaN,-Infinity,-0,3.4028235e38,1e-45,16777216,0.1}",
    ),
    (
        "float8",
        "{1e15,123456789012345,1e14,0.000015,NaN,Infinity,-0,5e-324,1.7976931348623157e308,0.30000000000000004,100}",
    ),
    ("numeric(20,4)", "{1.5,-1234567890123456.7891,0}"),
    ("money", "{-1234567.89,0.05,999.99,1000,-92233720368547758.08}"),
    ("cash", "{1234.5}"),
    (
        "text",
        r#"{"",NULL,"NULL","null","a b","a,b","{x}","q\"q","b\\b","tab	","é",plain," lead"}"#,
    ),
    ("varchar(3)", "{abc,d}"),
    ("char(5)", "{ab,\"\"}"),
    ("name", "{n}"),
    ("json", r#"{"{\"a\": [1, 2]}",null}"#),
    ("\"char\"", r#"{a,"",",","\\303"}"#),
    ("bytea", r#"{"\\x00ff","\\x",NULL}"#),
    (
        "date",
        r#"{2024-02-29,"0044-03-15 BC",5874897-12-31,0001-01-01,"0001-12-31 BC",1900-03-01}"#,
    ),
    (
        "timestamp",
        r#"{"2024-02-29 23:59:59.5","0044-03-15 01:02:03.000001 BC","294246-12-31 00:00:00"}"#,
    ),
    (
        "timestamptz",
        r#"{"2024-02-29 23:59:59.123456+00","4714-11-24 00:00:00+00 BC","1969-12-31 23:59:59.999999+00"}"#,
    ),
];

#[test]
fn the_days_before_an_array_of_another_shape_are_the_servers_text() {
    let columns = |each: &dyn Fn(usize, &str, &str) -> String| {
        let lists = LISTS.iter().enumerate();
        lists
            .map(|(i, (element, list))| each(i, element, list))
            .collect::<Vec<_>>()
    };
    let create = columns(&|i, element, _| format!("c{i} {element}[]")).join(", ");
    let values = columns(&|_, _, list| format!("'{list}'")).join(", ");
    let nested =
        columns(&|i, element, _| format!("c{i} = (select array_agg(array[x]) from unnest(c{i}) x)::{element}[]"));
    let texts = columns(&|i, _, _| format!("c{i}::text as c{i}")).join(", ");
    let workshop = Workshop::with(CONFIG, "");
    let settings = "set timezone = 'UTC'; set lc_monetary = 'C'; set datestyle = 'ISO'; set bytea_output = 'hex';";
    workshop.source.execute(&format!(
        "{settings} create domain cash as money; create table t (id int primary key, {create});
         insert into t values (1, {values}); insert into t values (2);
         create table texts as select id, {texts} from t;
         alter table texts add primary key (id)"
    ));
    workshop.lake(&format!("extract --date {}", DAYS[0])).done();

    // A list without elements has no dimension to be of another shape in.
    workshop.source.execute(&format!(
        "update t set {} where id = 1; update t set c2 = '{{{{1}}}}'",
        nested.join(", ")
    ));
    workshop.source.execute(&format!(
        "drop table texts; create table texts as select id, {texts} from t"
    ));
    let told = workshop.lake(&format!("extract --date {}", DAYS[1])).done().stderr;
    for (i, _) in LISTS.iter().enumerate() {
        let said = format!(
            "table public.t, column c{i}: an array of 2 dimensions can't be held as a list: the column is carried as text from now on"
        );
        assert_eq!(told.matches(&said).count(), 1, "{said:?} in {told}");
    }
    workshop
        .source
        .execute("insert into t values (3); insert into texts values (3)");
    let told = workshop.lake(&format!("extract --date {}", DAYS[2])).done().stderr;
    assert!(!told.contains("warning"), "{told}");

    let differs = columns(&|i, _, _| format!("(t.c{i} is distinct from e.c{i})")).join(" or ");
    let values = columns(&|i, _, _| format!("t.c{i}, e.c{i} as e{i}")).join(", ");
    let different = workshop.sql("", &format!(
        "select t.extract_date, t.id, {values} from shop.t t join shop.texts e on t.id = e.id and t.extract_date = e.extract_date where {differs}"
    ));
    assert_eq!(different.lines().count(), 1, "{different}");
    assert_eq!(
        workshop.sql(
            "",
            "select extract_date, count(*) as n from shop.t group by 1 order by 1"
        ),
        "extract_date,n\n2026-01-01,2\n2026-01-02,2\n2026-01-03,3\n"
    );

    for day in [DAYS[0], DAYS[2], DAYS[1], DAYS[0]] {
        workshop.lake(&format!("load --date {day}")).done();
        workshop.lake(&format!("verify --date {day}")).done();
        workshop.target.execute(settings);
        let different = workshop.target.query(&format!(
            "select count(*) from public.t t join public.texts e using (id) where {}",
            columns(&|i, _, _| format!("t.c{i}::text is distinct from e.c{i}")).join(" or ")
        ));
        assert_eq!(different, "0", "{day}");
    }
    let types = "select string_agg(format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute where attrelid = 'public.t'::regclass and attnum > 1";
    let domains = |text: String| text.replace("cash[]", "money[]");
    assert_eq!(workshop.target.query(types), domains(workshop.source.query(types)));
}
