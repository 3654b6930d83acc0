//! What every model file must look like: one int64 input `[batch, tokens]`, one float32 output a head
//! `[batch, labels]`. Compares an opened session with that and with the manifest.

use ort::session::Session;
use ort::value::{TensorElementType, ValueType};

use super::{Head, JudgeError, Task};

/// The input's name.
pub(super) const INPUT: &str = "input_ids";

/// Fails unless the session has exactly the input and the outputs the manifest promises.
pub(super) fn check(task: Task, session: &Session, heads: &[Head]) -> Result<(), JudgeError> {
    let wrong = |what: String, expected: String, found: String| JudgeError::Signature { task, what, expected, found };

    let inputs: Vec<&str> = session.inputs().iter().map(|input| input.name()).collect();
    if inputs != [INPUT] {
        return Err(wrong("inputs".to_owned(), format!("{:?}", [INPUT]), format!("{inputs:?}")));
    }
    for input in session.inputs() {
        if !is_tensor(input.dtype(), TensorElementType::Int64, &[None, None]) {
            let expected = "an int64 tensor [batch, tokens], both free".to_owned();
            return Err(wrong(format!("input {INPUT}"), expected, input.dtype().to_string()));
        }
    }

    let mut expected: Vec<&str> = heads.iter().map(|head| head.output.as_str()).collect();
    let mut found: Vec<&str> = session.outputs().iter().map(|output| output.name()).collect();
    expected.sort_unstable();
    found.sort_unstable();
    if expected != found {
        return Err(wrong("outputs".to_owned(), format!("{expected:?}"), format!("{found:?}")));
    }
    for head in heads {
        let labels = head.labels.len();
        for output in session.outputs().iter().filter(|output| output.name() == head.output) {
            if !is_tensor(output.dtype(), TensorElementType::Float32, &[None, i64::try_from(labels).ok()]) {
                let expected = format!("a float32 tensor [batch, {labels}], one column a label");
                return Err(wrong(format!("output {}", head.output), expected, output.dtype().to_string()));
            }
        }
    }
    Ok(())
}

/// The error for an output whose shape at run time is not the promised one.
pub(super) fn wrong(task: Task, head: &str, rows: usize, labels: usize, found: String) -> JudgeError {
    JudgeError::Signature {
        task,
        what: format!("output {head} of a batch of {rows}"),
        expected: format!("shape [{rows}, {labels}]"),
        found,
    }
}

/// Whether a type is a tensor of this element and rank. A dimension given must be that or free; one not given must be
/// free.
fn is_tensor(found: &ValueType, element: TensorElementType, dimensions: &[Option<i64>]) -> bool {
    let Some(shape) = found.tensor_shape() else { return false };
    found.tensor_type() == Some(element)
        && shape.len() == dimensions.len()
        && shape.iter().zip(dimensions).all(|(&found, &expected)| found == -1 || Some(found) == expected)
}
