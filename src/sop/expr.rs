//! Amount expressions: the CEL grammar, checked against the fact schema and compiled to integer arithmetic.
//!
//! The `cel` crate parses; types are checked and values computed here, because a money rule needs what a
//! dynamic interpreter does not give: a type error at load, no floats, no map order, and an undetermined
//! fact that makes the result undetermined instead of being absorbed by `||`.

use cel::common::ast::{Expr as Ast, IdedExpr, LiteralValue, operators as op};

use super::duration::parse_duration;
use super::facts::{Fact, Facts, Type, format_value};

/// A typed expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expr {
    /// What it evaluates to.
    pub ty: Type,
    node: Node,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Const(i64),
    Fact(Fact),
    Not(Box<Expr>),
    Binary(Op, Box<Expr>, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    Percent(Box<Expr>, Box<Expr>),
    Clamp(Box<Expr>, Box<Expr>, Box<Expr>),
    Tier(Box<Expr>, Box<Expr>),
    Yuan(Box<Expr>),
    Fen(Box<Expr>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add,
    Sub,
    Mul,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    And,
    Or,
    Max,
    Min,
}

impl Op {
    fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
            Self::And => "&&",
            Self::Or => "||",
            Self::Max => "max",
            Self::Min => "min",
        }
    }
}

/// Why an expression was refused at load: where (byte offset into its text) and the rule, in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExprError {
    /// Byte offset into the expression's text.
    pub offset: usize,
    /// The message in Chinese.
    pub zh: String,
    /// The message in English.
    pub en: String,
}

/// Why an expression has no value for a case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// A fact it needs is undetermined.
    #[error("{0} is undetermined")]
    Undetermined(Fact),
    /// The result does not fit 64 bits.
    #[error("arithmetic overflow")]
    Overflow,
}

/// Parses and type-checks `text`, which must be of type `want`.
pub fn compile(text: &str, want: Type) -> Result<Expr, ExprError> {
    let program = cel::Program::compile(text).map_err(|errors| {
        let first = errors.errors.first();
        let column = first.map_or(1, |e| e.pos.1.max(1));
        let message = first.map_or_else(
            || "syntax error".to_owned(),
            |e| e.msg.trim_start_matches("Syntax error: ").replace("'<EOF>'", "the end"),
        );
        ExprError {
            offset: usize::try_from(column - 1).unwrap_or(0).min(text.len()),
            zh: format!("表达式语法有误：{message}"),
            en: format!("the expression is not well-formed: {message}"),
        }
    })?;
    let checker = Checker { program: &program };
    let expr = checker.check(program.expression())?;
    if expr.ty == want {
        Ok(expr)
    } else {
        Err(checker.fail(
            program.expression(),
            format!("表达式的类型是 {}，此处需要 {want}", expr.ty),
            format!("the expression is of type {}, but {want} is needed here", expr.ty),
        ))
    }
}

/// The functions an amount may call.
const FUNCTIONS: [&str; 9] = ["percent", "clamp", "tier", "yuan", "fen", "max", "min", "duration", "service"];

struct Checker<'a> {
    program: &'a cel::Program,
}

impl Checker<'_> {
    fn fail(&self, at: &IdedExpr, zh: String, en: String) -> ExprError {
        let offset = self.program.source_info().offset_for(at.id).map_or(0, |(start, _)| start as usize);
        ExprError { offset, zh, en }
    }

    fn check(&self, e: &IdedExpr) -> Result<Expr, ExprError> {
        match &e.expr {
            Ast::Literal(LiteralValue::Int(i)) => Ok(Expr { ty: Type::Int, node: Node::Const(*i.inner()) }),
            Ast::Literal(LiteralValue::Boolean(b)) => {
                Ok(Expr { ty: Type::Bool, node: Node::Const(i64::from(*b.inner())) })
            }
            Ast::Literal(LiteralValue::Double(_)) => Err(self.fail(
                e,
                "金额规则不允许浮点数；请用 percent(x, 10)、fen(50) 等整数函数".into(),
                "floats are not allowed in money rules; use percent(x, 10), fen(50) and the like".into(),
            )),
            Ast::Ident(name) => match name.parse::<Fact>() {
                Ok(fact) => Ok(Expr { ty: fact.ty(), node: Node::Fact(fact) }),
                Err(()) => Err(self.fail(
                    e,
                    format!("没有名为 `{name}` 的事实；可用：{}", Fact::names().collect::<Vec<_>>().join("、")),
                    format!("there is no fact `{name}`; known are {}", Fact::names().collect::<Vec<_>>().join(", ")),
                )),
            },
            Ast::Call(call) if call.target.is_none() => self.call(e, &call.func_name, &call.args),
            _ => Err(self.fail(
                e,
                "此处只能用事实、整数、布尔值、运算符和已声明的函数".into(),
                "only facts, integers, booleans, operators and the declared functions may stand here".into(),
            )),
        }
    }

    fn call(&self, e: &IdedExpr, name: &str, args: &[IdedExpr]) -> Result<Expr, ExprError> {
        if let ("duration" | "service", [arg]) = (name, args) {
            return self.text_call(name, arg);
        }
        let mut a = args.iter().map(|x| self.check(x)).collect::<Result<Vec<_>, _>>()?;
        let types: Vec<Type> = a.iter().map(|x| x.ty).collect();
        let mut take = || Box::new(a.remove(0));
        use Type::{Bool, Duration, Int, Money, Ratio};
        let (ty, node) = match (name, types.as_slice()) {
            (op::LOGICAL_NOT, [Bool]) => (Bool, Node::Not(take())),
            (op::CONDITIONAL, [Bool, x, y]) if x == y => (*x, Node::If(take(), take(), take())),
            (op::LOGICAL_AND, [Bool, Bool]) => (Bool, Node::Binary(Op::And, take(), take())),
            (op::LOGICAL_OR, [Bool, Bool]) => (Bool, Node::Binary(Op::Or, take(), take())),
            (op::ADD, [x @ (Money | Int | Duration), y]) if x == y => (*x, Node::Binary(Op::Add, take(), take())),
            (op::SUBSTRACT, [x @ (Money | Int | Duration), y]) if x == y => (*x, Node::Binary(Op::Sub, take(), take())),
            (op::MULTIPLY, [x @ (Money | Int), Int]) => (*x, Node::Binary(Op::Mul, take(), take())),
            (op::MULTIPLY, [Int, Money]) => (Money, Node::Binary(Op::Mul, take(), take())),
            (op::EQUALS | op::NOT_EQUALS | op::LESS | op::LESS_EQUALS | op::GREATER | op::GREATER_EQUALS, [x, y])
                if x == y && (*x != Bool || matches!(name, op::EQUALS | op::NOT_EQUALS)) =>
            {
                let o = match name {
                    op::EQUALS => Op::Eq,
                    op::NOT_EQUALS => Op::Ne,
                    op::LESS => Op::Lt,
                    op::LESS_EQUALS => Op::Le,
                    op::GREATER => Op::Gt,
                    _ => Op::Ge,
                };
                (Bool, Node::Binary(o, take(), take()))
            }
            ("percent", [Money, Int]) => (Money, Node::Percent(take(), take())),
            ("clamp", [Money, Money, Money]) => (Money, Node::Clamp(take(), take(), take())),
            ("tier", [Money, Ratio]) => (Money, Node::Tier(take(), take())),
            ("yuan", [Int]) => (Money, Node::Yuan(take())),
            ("fen", [Int]) => (Money, Node::Fen(take())),
            ("max", [x @ (Money | Int | Duration), y]) if x == y => (*x, Node::Binary(Op::Max, take(), take())),
            ("min", [x @ (Money | Int | Duration), y]) if x == y => (*x, Node::Binary(Op::Min, take(), take())),
            _ => return Err(self.no_overload(e, name, &types)),
        };
        Ok(Expr { ty, node })
    }

    /// `duration("48h")` and `service("name")` take a literal: what they mean is fixed at load.
    fn text_call(&self, name: &str, arg: &IdedExpr) -> Result<Expr, ExprError> {
        let Ast::Literal(LiteralValue::String(text)) = &arg.expr else {
            return Err(self.fail(
                arg,
                format!("{name}() 的参数必须是文字常量"),
                format!("{name}() takes a text literal"),
            ));
        };
        let text = text.inner();
        if name == "service" {
            return Ok(Expr { ty: Type::Bool, node: Node::Fact(Fact::Service(text.to_owned())) });
        }
        match parse_duration(text) {
            Ok(seconds) => Ok(Expr { ty: Type::Duration, node: Node::Const(seconds) }),
            Err(error) => Err(self.fail(arg, error.zh, error.en)),
        }
    }

    fn no_overload(&self, e: &IdedExpr, name: &str, types: &[Type]) -> ExprError {
        if name.starts_with(|c: char| c.is_ascii_alphabetic()) && !FUNCTIONS.contains(&name) {
            let known = FUNCTIONS.join(", ");
            return self.fail(
                e,
                format!("没有名为 `{name}` 的函数；可用：{known}"),
                format!("there is no function `{name}`; known are {known}"),
            );
        }
        let shown = name.replace('_', " ");
        let shown = shown.trim();
        let types = types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        self.fail(e, format!("`{shown}` 不能用于（{types}）"), format!("`{shown}` cannot be applied to ({types})"))
    }
}

impl Expr {
    /// The literal amount of no money.
    pub fn zero_money() -> Self {
        Self { ty: Type::Money, node: Node::Fen(Box::new(Self { ty: Type::Int, node: Node::Const(0) })) }
    }

    /// True for the literal amount of no money.
    pub fn is_zero_money(&self) -> bool {
        *self == Self::zero_money()
    }

    /// Every fact the expression may read.
    pub fn facts(&self) -> Vec<Fact> {
        let mut out = Vec::new();
        self.collect(&mut out);
        out.sort();
        out.dedup();
        out
    }

    fn collect(&self, out: &mut Vec<Fact>) {
        match &self.node {
            Node::Const(_) => {}
            Node::Fact(f) => out.push(f.clone()),
            Node::Not(a) | Node::Yuan(a) | Node::Fen(a) => a.collect(out),
            Node::Binary(_, a, b) | Node::Percent(a, b) | Node::Tier(a, b) => {
                a.collect(out);
                b.collect(out);
            }
            Node::If(a, b, c) | Node::Clamp(a, b, c) => {
                a.collect(out);
                b.collect(out);
                c.collect(out);
            }
        }
    }

    /// The value in the unit of [`Expr::ty`]. `tiers` are ascending percentages, the last one 100.
    pub fn eval(&self, facts: &Facts, tiers: &[i64]) -> Result<i64, EvalError> {
        let ev = |e: &Expr| e.eval(facts, tiers);
        let over = |v: Option<i64>| v.ok_or(EvalError::Overflow);
        match &self.node {
            Node::Const(v) => Ok(*v),
            Node::Fact(f) => facts.get(f).ok_or_else(|| EvalError::Undetermined(f.clone())),
            Node::Not(a) => Ok(1 - ev(a)?),
            Node::If(c, a, b) => {
                if ev(c)? != 0 {
                    ev(a)
                } else {
                    ev(b)
                }
            }
            // Both sides are always evaluated: an undetermined operand leaves the whole undetermined.
            Node::Binary(o, a, b) => {
                let (a, b) = (ev(a)?, ev(b)?);
                match o {
                    Op::Add => over(a.checked_add(b)),
                    Op::Sub => over(a.checked_sub(b)),
                    Op::Mul => over(a.checked_mul(b)),
                    Op::Eq => Ok(i64::from(a == b)),
                    Op::Ne => Ok(i64::from(a != b)),
                    Op::Lt => Ok(i64::from(a < b)),
                    Op::Le => Ok(i64::from(a <= b)),
                    Op::Gt => Ok(i64::from(a > b)),
                    Op::Ge => Ok(i64::from(a >= b)),
                    Op::And => Ok(a & b),
                    Op::Or => Ok(a | b),
                    Op::Max => Ok(a.max(b)),
                    Op::Min => Ok(a.min(b)),
                }
            }
            Node::Percent(a, b) => over(percent(ev(a)?, ev(b)?)),
            Node::Clamp(x, lo, hi) => Ok(ev(x)?.max(ev(lo)?).min(ev(hi)?)),
            Node::Tier(money, ratio) => {
                let (money, ratio) = (ev(money)?, ev(ratio)?);
                let tier = tiers.iter().copied().find(|t| t * 10_000 >= ratio).unwrap_or(100);
                over(percent(money, tier))
            }
            Node::Yuan(a) => over(ev(a)?.checked_mul(100)),
            Node::Fen(a) => ev(a),
        }
    }

    /// The canonical text: the same for every way of writing the same tree. [`compile`] reads it.
    pub fn canonical(&self) -> String {
        match &self.node {
            Node::Const(v) => match self.ty {
                Type::Int => v.to_string(),
                Type::Duration => format!("duration(\"{}\")", format_value(self.ty, *v)),
                ty => format_value(ty, *v),
            },
            Node::Fact(Fact::Service(name)) => format!("service(\"{name}\")"),
            Node::Fact(f) => f.to_string(),
            Node::Binary(o @ (Op::Max | Op::Min), a, b) => {
                format!("{}({}, {})", o.symbol(), a.canonical(), b.canonical())
            }
            Node::Not(a) => format!("!({})", a.canonical()),
            Node::Binary(o, a, b) => format!("({} {} {})", a.canonical(), o.symbol(), b.canonical()),
            Node::If(c, a, b) => format!("({} ? {} : {})", c.canonical(), a.canonical(), b.canonical()),
            Node::Percent(a, b) => format!("percent({}, {})", a.canonical(), b.canonical()),
            Node::Clamp(a, b, c) => format!("clamp({}, {}, {})", a.canonical(), b.canonical(), c.canonical()),
            Node::Tier(a, b) => format!("tier({}, {})", a.canonical(), b.canonical()),
            Node::Yuan(a) => format!("yuan({})", a.canonical()),
            Node::Fen(a) => format!("fen({})", a.canonical()),
        }
    }
}

/// `money × pct ÷ 100`, rounded half up to the fen; `None` on overflow.
fn percent(money: i64, pct: i64) -> Option<i64> {
    let product = i128::from(money) * i128::from(pct);
    i64::try_from((product + 50).div_euclid(100)).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIERS: [i64; 5] = [10, 30, 50, 70, 100];

    fn money(text: &str, facts: &Facts) -> Result<i64, EvalError> {
        compile(text, Type::Money).unwrap().eval(facts, &TIERS)
    }

    #[test]
    fn computes_the_amounts_of_the_rules() {
        let mut f = Facts::new();
        f.set(Fact::Total, 18_999).set(Fact::GoodsTotal, 14_190).set(Fact::SeverityRatio, 350_000);
        f.set(Fact::ShipPromise, 172_800).set_services(["fake_pay_three".to_owned()]);
        assert_eq!(money("tier(goods_total, severity_ratio)", &f), Ok(7095));
        assert_eq!(money("clamp(percent(total, 1), yuan(3), yuan(30))", &f), Ok(300));
        let late = r#"ship_promise <= duration("48h") ? yuan(1) : yuan(2)"#;
        assert_eq!(money(late, &f), Ok(100));
        assert_eq!(money(r#"service("fake_pay_three") ? max(goods_total * 3, yuan(500)) : yuan(0)"#, &f), Ok(50_000));
        assert_eq!(money("percent(fen(50), 1)", &f), Ok(1), "half a fen rounds up");
        assert_eq!(money("percent(fen(49), 1)", &f), Ok(0));
    }

    #[test]
    fn tiers_take_the_first_at_or_above() {
        for (ppm, want) in [(1, 10), (100_000, 10), (100_001, 30), (300_000, 30), (333_333, 50), (1_000_000, 100)] {
            let mut f = Facts::new();
            f.set(Fact::GoodsTotal, 100).set(Fact::SeverityRatio, ppm);
            assert_eq!(money("tier(goods_total, severity_ratio)", &f), Ok(want), "{ppm}");
        }
    }

    #[test]
    fn an_undetermined_fact_is_never_absorbed() {
        let f = Facts::new();
        let e = compile("true || elapsed > duration(\"1h\")", Type::Bool).unwrap();
        assert_eq!(e.eval(&f, &TIERS), Err(EvalError::Undetermined(Fact::Elapsed)));
        let e = compile("false && service(\"x\")", Type::Bool).unwrap();
        assert_eq!(e.eval(&f, &TIERS), Err(EvalError::Undetermined(Fact::Service("x".into()))));
    }

    #[test]
    fn refuses_type_errors_with_their_place() {
        for (text, offset) in [
            ("total * 0.5", 8),
            ("total + quantity", 6),
            ("percent(total, freight)", 7),
            ("totl", 0),
            ("yuan(1) ? yuan(1) : yuan(2)", 8),
            ("total == total", 6),
            ("[total]", 0),
            ("duration(\"48 hours\")", 9),
            ("total +", 7),
        ] {
            let error = compile(text, Type::Money).unwrap_err();
            assert_eq!(error.offset, offset, "{text}: {}", error.en);
        }
    }

    proptest! {
        /// Where the reference interpreter has a value for integers, ours is the same.
        #[test]
        fn agrees_with_the_reference_interpreter(a in -1000i64..1000, b in -1000i64..1000, c in 0i64..50) {
            for text in ["quantity * A + B", "quantity > A ? B : A", "!(quantity == A) && (B < A || quantity <= B)", "A - B - quantity"] {
                let text = text.replace('A', &format!("({a})")).replace('B', &format!("({b})"));
                let program = cel::Program::compile(&text).unwrap();
                let mut context = cel::Context::default();
                context.add_variable("quantity", c).unwrap();
                let reference = match program.execute(&context).unwrap() {
                    cel::Value::Int(i) => (Type::Int, i),
                    cel::Value::Bool(b) => (Type::Bool, i64::from(b)),
                    other => return Err(TestCaseError::fail(format!("{other:?}"))),
                };
                let mut f = Facts::new();
                f.set(Fact::Quantity, c);
                prop_assert_eq!(compile(&text, reference.0).unwrap().eval(&f, &TIERS), Ok(reference.1));
            }
        }
    }
}
