//! The queues of a deployed system, found in its stack's outputs as deployers print them. It asks no cloud.

use std::io::Read;
use std::path::Path;

use aws::dead_letters::QueueUrls;
use delivery::Origin;
use serde_json::Value;

use crate::exit::Failure;

/// The queues in the file at `path`, or in what is read on stdin for `-`.
pub(crate) fn read(path: &Path) -> Result<Vec<(Origin, QueueUrls)>, Failure> {
    let name = path.display();
    let mut text = String::new();
    let read = match path.as_os_str().as_encoded_bytes() {
        b"-" => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => std::fs::read_to_string(path).map(|read| text = read),
    };
    read.map_err(|error| Failure::Usage(format!("--outputs {name}: {error}")))?;
    queues(&text).map_err(|error| Failure::Usage(format!("--outputs {name}: {error}")))
}

fn queues(text: &str) -> Result<Vec<(Origin, QueueUrls)>, String> {
    let json: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    // What `aws cloudformation describe-stacks` prints without a query.
    let outputs = json.pointer("/Stacks/0/Outputs").unwrap_or(&json);
    let output = |key: &str| match outputs {
        Value::Array(list) => list.iter().find(|output| output["OutputKey"] == key)?["OutputValue"].as_str(),
        other => other.get(key)?.as_str(),
    };
    let url = |key: &str| {
        let missing = || format!("there is no {key}; pass the outputs of the stack that infra/template.yaml makes");
        output(key).map(str::to_owned).ok_or_else(missing)
    };
    let pair =
        |queue, dead_letters| Ok::<_, String>(QueueUrls { queue: url(queue)?, dead_letters: url(dead_letters)? });
    Ok(vec![
        (Origin::Delivery, pair("DeliveryQueueUrl", "DeliveryDeadLetterQueueUrl")?),
        (Origin::Wake, pair("WakeQueueUrl", "WakeDeadLetterQueueUrl")?),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outputs_are_read_in_each_form_that_deployers_print() {
        let keys = ["DeliveryQueueUrl", "DeliveryDeadLetterQueueUrl", "WakeQueueUrl", "WakeDeadLetterQueueUrl"];
        let map = keys.map(|key| format!(r#""{key}":"https://{key}""#)).join(",");
        let list = keys.map(|key| format!(r#"{{"OutputKey":"{key}","OutputValue":"https://{key}"}}"#)).join(",");
        let urls = |queue: &str, dead: &str| QueueUrls {
            queue: format!("https://{queue}"),
            dead_letters: format!("https://{dead}"),
        };
        let expected = vec![(Origin::Delivery, urls(keys[0], keys[1])), (Origin::Wake, urls(keys[2], keys[3]))];
        for text in [
            format!("{{{map}}}"),
            format!("[{list}]"),
            format!(r#"{{"Stacks":[{{"StackName":"vartalap","Outputs":[{list}]}}]}}"#),
        ] {
            assert_eq!(queues(&text), Ok(expected.clone()), "{text}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for text in ["{}", "[]", "[1]", r#"{"Stacks":[]}"#, "7"] {
            assert!(queues(text).is_err_and(|why| why.contains("DeliveryQueueUrl")), "{text}");
        }
        assert!(queues("secret").is_err_and(|why| why.contains("not JSON")));
    }
}
