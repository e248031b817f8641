//! The employees and the territories they sell in.

use std::io::{self, Write};

use chrono::{Days, NaiveDate};

use super::dice::{Dice, Stream};
use super::insert::Insert;
use super::picture::bitmap;
use super::places::{FAMILY_NAMES, GIVEN_NAMES, PLACES};
use super::reference::TERRITORIES;
use super::value::Value;
use super::{EMPLOYEE_TERRITORIES, EMPLOYEES, Northwind};

/// In each group of nine, the place of the head and of the head's deputy. The first group's head
/// is everyone's.
const HEAD: u64 = 1;
const DEPUTY: u64 = 4;

const LANGUAGES: &[&str] = &["French", "Portuguese", "German", "Polish", "Swedish", "Spanish"];
const SUBJECTS: &[&str] = &["food chemistry", "economics", "linguistics", "logistics", "history"];
const PASTIMES: &[&str] = &["rows", "keeps bees", "sings in a choir", "restores old radios"];

pub(super) fn write(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    write_employees(northwind, out)?;
    write_employee_territories(northwind, out)
}

fn write_employees(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    let mut insert = Insert::into(out, "employees");
    for index in 0..EMPLOYEES * northwind.scale {
        let dice = &mut Dice::new(northwind.seed, Stream::Employee, index);
        let (given_name, courtesy) = dice.pick(GIVEN_NAMES);
        let family_name = dice.pick(FAMILY_NAMES);
        let place = loop {
            let place = dice.pick(PLACES);
            if matches!(place.country, "USA" | "UK") {
                break place;
            }
        };
        let id = index + 1;
        insert.row([
            id.into(),
            family_name.into(),
            given_name.into(),
            title(index).into(),
            courtesy.into(),
            date(1937, dice.below(30 * 365)),
            date(1992, dice.below(3 * 365)),
            place.address(dice).into(),
            place.city.into(),
            place.region.into(),
            place.postal_code(dice).into(),
            place.country.into(),
            place.phone(dice).into(),
            dice.fill("####").into(),
            // Every third has had a picture taken.
            Value::Bytes(if index % 3 == 0 { bitmap(dice) } else { Vec::new() }),
            notes(dice, given_name).into(),
            reports_to(index).into(),
            format!("https://people.northwind.example/photos/{id}.bmp").into(),
        ])?;
    }
    insert.end()
}

fn title(index: u64) -> &'static str {
    match index % EMPLOYEES {
        HEAD if index == HEAD => "Head of Sales, Worldwide",
        HEAD => "Head of Sales",
        DEPUTY => "Deputy Head of Sales",
        7 => "Sales Support",
        _ => "Sales Agent",
    }
}

fn reports_to(index: u64) -> Option<u64> {
    let group_first = index - index % EMPLOYEES;
    let superior = match index % EMPLOYEES {
        HEAD if index == HEAD => return None,
        HEAD => HEAD,
        5 | 6 | 8 => group_first + DEPUTY,
        _ => group_first + HEAD,
    };
    Some(superior + 1)
}

/// Notes of two lines, the second with a quotation.
fn notes(dice: &mut Dice, name: &str) -> String {
    let (subject, pastime) = (dice.pick(SUBJECTS), dice.pick(PASTIMES));
    let (first, second) = (dice.pick(LANGUAGES), dice.pick(LANGUAGES));
    let languages = if first == second {
        first.to_owned()
    } else {
        format!("{first} and {second}")
    };
    format!(
        "{name} studied {subject}, speaks {languages}, and {pastime}.\n\
         Known for saying \"we'll ship it, rain or shine\"."
    )
}

/// A date, as days after the first of a year.
fn date(year: i32, days: u64) -> Value<'static> {
    NaiveDate::from_ymd_opt(year, 1, 1)
        .and_then(|first| first.checked_add_days(Days::new(days)))
        .into()
}

/// In each group of nine employees, each of 49 territories has one of them.
fn write_employee_territories(northwind: &Northwind, out: &mut impl Write) -> io::Result<()> {
    let mut insert = Insert::into(out, "employee_territories");
    for group in 0..northwind.scale {
        let dice = &mut Dice::new(northwind.seed, Stream::EmployeeTerritories, group);
        // Every employee has one territory at least, and may have more.
        let mut territories = [0u64; EMPLOYEES as usize];
        territories.fill(1);
        for _ in EMPLOYEES..EMPLOYEE_TERRITORIES {
            territories[dice.below(EMPLOYEES) as usize] += 1;
        }
        let mut next = dice.below(TERRITORIES.len() as u64);
        for (employee, count) in territories.into_iter().enumerate() {
            for _ in 0..count {
                let territory = &TERRITORIES[next as usize % TERRITORIES.len()];
                let employee_id = group * EMPLOYEES + employee as u64 + 1;
                insert.row([employee_id.into(), territory.id.into()])?;
                next += 1;
            }
        }
    }
    insert.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_report_to_one_head() {
        for index in 0..10 * EMPLOYEES {
            let (mut at, mut steps) = (index, 0);
            while let Some(superior_id) = reports_to(at) {
                at = superior_id - 1;
                steps += 1;
                assert!(steps <= 3, "{index} reports in a circle");
            }
            assert_eq!(at, HEAD);
        }
    }
}
