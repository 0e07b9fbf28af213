//! Claims: which device of all users a push target belongs to. A target is an app on a phone or a browser, and whoever registers it is who
//! uses it now, so it moves to the last device that said it. Whom it wakes is read from that device's item; a claim only finds the device
//! that had it before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, Put, ReturnConsumedCapacity, TransactWriteItem, Update};
use delivery::{Address, Enrolment, Failure};
use protocol::{PushTarget, Timestamp};

use crate::directory::DEVICE_LIFETIME;
use crate::dynamo::{Identity, Table, identity, is_condition_failure};
use crate::failure::{failure, refused};
use crate::keys::{self, Item};
use crate::meter::Unit;

/// How long a claim is kept after its target was last said. Devices last as long as they are seen, and many say their targets once only; a
/// claim that has gone would let a target be two users'. FCM itself gives up tokens that were not used for 270 days.
const CLAIM_LIFETIME: Duration = Duration::from_secs(400 * 24 * 60 * 60);

/// How often it is looked again when others claim the same targets at the same time.
const TRIES: usize = 5;

const OPERATION: &str = "make a device known with its push targets";

/// Makes a device known with what is said of it, `targets` among it, which no other device has any more then: as a whole, or not at all.
pub(crate) async fn enrol(
    table: &Table,
    address: &Address,
    said: &Enrolment,
    targets: &[PushTarget],
    now: Timestamp,
) -> Result<(), Failure> {
    // Two targets may lead to one place, and a transaction may write an item once.
    let mut claims: BTreeMap<Identity, &PushTarget> = BTreeMap::new();
    for target in targets {
        claims.extend(identity(&keys::claim_key(target)).map(|identity| (identity, target)));
    }
    for _ in 0..TRIES {
        let keys = claims.values().map(|target| keys::claim_key(target)).chain([keys::device_key(address)]).collect();
        let found = table.get(OPERATION, keys).await?.all(OPERATION)?;
        let owners = claims.keys().filter_map(|claim| owner(found.get(claim)?)).filter(|owner| owner != address);
        let losers: Vec<Item> = owners.collect::<BTreeSet<_>>().iter().map(keys::device_key).collect();
        let devices = table.get(OPERATION, losers.clone()).await?.all(OPERATION)?;

        let mut writes: Vec<TransactWriteItem> =
            claims.iter().map(|(claim, target)| put(table, address, target, found.get(claim), now)).collect();
        writes.extend(losers.into_iter().filter_map(|key| {
            let update = keys::move_push_update(devices.get(&identity(&key)?)?, targets)?;
            Some(change(table, key, update, None))
        }));
        let update = keys::enrol_update(said, now, now.plus(DEVICE_LIFETIME));
        writes.push(change(table, keys::device_key(address), update, Some(keys::TTL_NAME)));
        if table.transact(OPERATION, writes).await? {
            let device = identity(&keys::device_key(address)).and_then(|key| found.get(&key));
            release_left(table, address, &device.map(keys::push_targets).unwrap_or_default(), targets).await;
            return Ok(());
        }
    }
    Err(refused(OPERATION, "others claim the same push targets at the same time"))
}

/// Gives up the claims to those of the targets that a device had which it has no more. A claim that stays finds nothing at its device,
/// so that it cannot be given up is no failure.
pub(crate) async fn release_left(table: &Table, address: &Address, before: &[PushTarget], after: &[PushTarget]) {
    let gone = before.iter().filter(|target| after.iter().all(|one| one.place() != target.place())).cloned();
    if let Err(failure) = release(table, address, &gone.collect::<Vec<_>>()).await {
        tracing::warn!(%failure, "a claim to a push target stays for a while");
    }
}

/// Gives up the claims of a device to these targets. One that has moved on is another device's, and stays.
pub(crate) async fn release(table: &Table, address: &Address, targets: &[PushTarget]) -> Result<(), Failure> {
    for target in targets {
        let keys::Update { condition, values, .. } = keys::claim_of(address);
        let call = table.client.delete_item().table_name(&table.name).set_key(Some(keys::claim_key(target)));
        let call = call.condition_expression(condition).set_expression_attribute_values(Some(values));
        match call.return_consumed_capacity(ReturnConsumedCapacity::Total).send().await {
            Ok(output) => table.count("DeleteItem", Unit::WriteUnit, output.consumed_capacity()),
            Err(error) if is_condition_failure(&error) => {}
            Err(error) => return Err(failure("give up a push target", &error)),
        }
    }
    Ok(())
}

/// Whose a claim is; nobody's if it cannot be read.
fn owner(claim: &Item) -> Option<Address> {
    match keys::claim_owner(claim) {
        Ok(owner) => Some(owner),
        Err(error) => {
            tracing::error!(metric = "directory.unreadable", %error, "a claim is unreadable and is replaced");
            None
        }
    }
}

/// Claims a target if its claim is still as it was read.
fn put(
    table: &Table,
    owner: &Address,
    target: &PushTarget,
    before: Option<&Item>,
    now: Timestamp,
) -> TransactWriteItem {
    let keys::Update { condition, values, .. } = keys::claim_unchanged(before);
    let item = keys::claim_item(target, owner, now.plus(CLAIM_LIFETIME));
    let names =
        condition.contains(keys::TTL_NAME).then(|| HashMap::from([(keys::TTL_NAME.to_owned(), keys::TTL.to_owned())]));
    let put = Put::builder().table_name(&table.name).set_item(Some(item)).condition_expression(condition);
    let put = put.set_expression_attribute_names(names).set_expression_attribute_values(some(values)).build();
    TransactWriteItem::builder().put(put.expect("table and item are set")).build()
}

fn change(table: &Table, key: Item, update: keys::Update, ttl_name: Option<&str>) -> TransactWriteItem {
    let keys::Update { update, condition, values } = update;
    let names = ttl_name.map(|name| HashMap::from([(name.to_owned(), keys::TTL.to_owned())]));
    let call = Update::builder().table_name(&table.name).set_key(Some(key)).update_expression(update);
    let call = call.set_condition_expression(Some(condition).filter(|condition| !condition.is_empty()));
    let call = call.set_expression_attribute_names(names).set_expression_attribute_values(some(values)).build();
    TransactWriteItem::builder().update(call.expect("table, key and update are set")).build()
}

/// No empty map, which DynamoDB refuses.
fn some(values: Item) -> Option<HashMap<String, AttributeValue>> {
    Some(values).filter(|values| !values.is_empty())
}
