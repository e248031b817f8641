//! How deep a statement is, told from its words: all that works on it later recurses, down to freeing its memory,
//! and a stack that overflows ends the process.

use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// The deepest statement that is planned, in operators applied to each other's results. Deeper ones would take
/// seconds and more to plan.
pub(crate) const DEPTH_MAX: usize = 1000;

/// The stack of a thread that plans and runs statements of that depth; a build without optimisation needs about 8 MiB.
pub const STACK_BYTES: usize = 32 << 20;

/// A join, or a query of queries, is some operators on top of each other once it is planned.
const RELATION_DEPTH: usize = 5;

/// An upper bound of the depth of a statement; none where the text can't be cut into tokens.
pub(crate) fn depth(sql: &str, dialect: &dyn Dialect) -> Option<usize> {
    let tokens = Tokenizer::new(dialect, sql).tokenize().ok()?;
    let mut levels = vec![Level::default()];
    let mut before = Keyword::NoKeyword;
    for token in &tokens {
        let keyword = match token {
            Token::Whitespace(_) => continue,
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        let nested = levels.len() > 1;
        let level = levels.last_mut()?;
        match (token, keyword) {
            (Token::LParen | Token::LBracket | Token::LBrace, _) | (_, Keyword::CASE) => levels.push(Level::default()),
            (Token::RParen | Token::RBracket | Token::RBrace, _) | (_, Keyword::END) if nested => {
                let inner = levels.pop()?.end();
                levels.last_mut()?.enclose(inner + 1);
            }
            (Token::Comma, _) if level.relations => level.relation(RELATION_DEPTH),
            (Token::Comma | Token::SemiColon, _) | (_, Keyword::WHEN | Keyword::THEN | Keyword::ELSE) => level.item(),
            (_, Keyword::AND | Keyword::OR) => level.condition(),
            (_, Keyword::JOIN | Keyword::APPLY) => level.relation(RELATION_DEPTH),
            (_, Keyword::UNION | Keyword::INTERSECT | Keyword::EXCEPT | Keyword::MINUS) => {
                level.relations = false;
                level.relation(1);
            }
            // `a IS DISTINCT FROM b` names no table.
            (_, Keyword::WITH | Keyword::FROM) if before != Keyword::DISTINCT => level.relations = true,
            (_, Keyword::SELECT | Keyword::WHERE | Keyword::GROUP | Keyword::HAVING | Keyword::ORDER) => {
                level.item();
                level.relations = false;
            }
            (Token::Word(_), Keyword::NoKeyword) | (Token::Period | Token::Number(..) | Token::EOF, _) => {}
            (Token::SingleQuotedString(_), _) => {}
            // All else may be an operator: names that are keywords too count as well.
            _ => level.operators += 1,
        }
        before = keyword;
    }
    // What is not closed is refused by the parser; it is as deep all the same.
    Some(levels.into_iter().rev().fold(0, |inner, mut level| {
        level.enclose(inner);
        level.end()
    }))
}

/// What is between two brackets.
#[derive(Default)]
struct Level {
    /// The deepest item so far.
    deepest: usize,
    /// Whether items are put on top of each other: tables that are joined, subqueries that use each other.
    relations: bool,
    /// Relations on top of each other.
    joined: usize,
    /// Of the item under way: conditions on top of each other, operators since the last of them, the deepest brackets.
    conditions: usize,
    operators: usize,
    inner: usize,
}

impl Level {
    fn depth(&self) -> usize {
        self.joined + self.conditions + self.operators + self.inner
    }

    fn condition(&mut self) {
        self.deepest = self.deepest.max(self.depth());
        self.conditions += 1;
        self.operators = 0;
    }

    fn item(&mut self) {
        self.deepest = self.deepest.max(self.depth());
        (self.conditions, self.operators, self.inner) = (0, 0, 0);
    }

    fn relation(&mut self, depth: usize) {
        self.item();
        self.joined += depth;
    }

    fn enclose(&mut self, inner: usize) {
        if self.relations {
            self.joined += inner;
        } else {
            self.inner = self.inner.max(inner);
            self.operators += 1; // `x[1][1]` is two
        }
    }

    fn end(mut self) -> usize {
        self.item();
        self.deepest
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::GenericDialect;

    use super::*;

    fn depth_of(sql: &str) -> usize {
        depth(sql, &GenericDialect {}).unwrap_or_default()
    }

    #[test]
    fn what_stands_side_by_side_is_not_deep() {
        for sql in [
            format!("select * from t where a in (1{})", ", -2".repeat(5000)),
            format!("values (1){}", ", (1 + 2)".repeat(5000)),
            format!("select case {} end from t", "when a = 1 then 2 ".repeat(5000)),
            format!("select 1{}", ", a is distinct from b, f(c) as \"d e\"".repeat(500)),
            "select 1; ".repeat(5000),
        ] {
            let depth = depth_of(&sql);
            assert!(depth < 20, "{depth}: {:.60}", sql);
        }
    }

    #[test]
    fn what_is_put_on_top_of_each_other_is() {
        for sql in [
            format!("select 1{}", " + 1".repeat(500)),
            format!("select 1 where {} true", "not ".repeat(500)),
            format!("select * from t where a = 1{}", " and a = 1".repeat(500)),
            format!("select {}a{}", "(".repeat(500), ")".repeat(500)),
            format!(
                "select {}0{}",
                "case when a then 1 else ".repeat(500),
                " end".repeat(500)
            ),
            format!("select 1{}", " union all select 1".repeat(500)),
            format!("select 1 from t{}", ", t".repeat(100)),
            format!("select 1 from t{}", " join t on a = a".repeat(100)),
            format!(
                "with a as (select 1 x){} select 1",
                ", b as (select * from a)".repeat(100)
            ),
            format!("select a{}", "::int".repeat(500)),
            format!("select a{}", "[1]".repeat(500)),
            format!("select a{}", " is null".repeat(500)),
            "(".repeat(500),
        ] {
            let depth = depth_of(&sql);
            assert!((500..1200).contains(&depth), "{depth}: {:.60}", sql);
        }
    }
}
