//! Groups in the directory table as the `Groups` port. Keys and items are in [`crate::keys`]; what a change comes to is decided in
//! `delivery`.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, ReturnConsumedCapacity, TransactWriteItem, Update};
use delivery::{Failure, Group, GroupPage, Groups, Member, Membership, MembershipPage, News, Transition};
use protocol::{GroupId, GroupName, MessageId, UserId};

use crate::dynamo::Table;
use crate::failure::{failure, refused};
use crate::keys::{self, Item, UnreadableItem};
use crate::meter::{Meter, Unit};

/// The groups in the directory table.
#[derive(Clone, Debug)]
pub struct DynamoGroups {
    table: Table,
}

impl DynamoGroups {
    /// The groups in `table`.
    pub fn new(client: Client, table: String, meter: Arc<Meter>) -> Self {
        Self { table: Table::new(client, table, meter) }
    }

    fn put(&self, item: Item) -> TransactWriteItem {
        let put =
            Put::builder().table_name(&self.table.name).set_item(Some(item)).build().expect("table and item are set");
        TransactWriteItem::builder().put(put).build()
    }

    fn delete(&self, key: Item) -> TransactWriteItem {
        let delete = Delete::builder().table_name(&self.table.name).set_key(Some(key)).build();
        TransactWriteItem::builder().delete(delete.expect("table and key are set")).build()
    }

    /// The write of the group itself, on the condition that nobody has changed it meanwhile.
    fn replace(&self, transition: &Transition) -> TransactWriteItem {
        let (key, after) = (keys::group_key(&transition.after.id), &transition.after);
        match transition.before {
            None => {
                let put = Put::builder().table_name(&self.table.name).set_item(Some(keys::group_item(after)));
                let put = put.condition_expression(keys::NO_SUCH_GROUP).build().expect("table and item are set");
                TransactWriteItem::builder().put(put).build()
            }
            Some(before) if after.members.is_empty() => {
                let keys::Update { condition, values, .. } = keys::group_gone(before);
                let delete = Delete::builder().table_name(&self.table.name).set_key(Some(key));
                let delete = delete.condition_expression(condition).set_expression_attribute_values(Some(values));
                TransactWriteItem::builder().delete(delete.build().expect("table and key are set")).build()
            }
            Some(before) => {
                let keys::Update { update, condition, values } = keys::group_update(before, after);
                let call = Update::builder().table_name(&self.table.name).set_key(Some(key)).update_expression(update);
                let call = call.condition_expression(condition).set_expression_attribute_values(Some(values));
                TransactWriteItem::builder().update(call.build().expect("table, key and update are set")).build()
            }
        }
    }

    /// Up to `limit` of the groups that a user is in, and whether there are more.
    async fn ids(
        &self,
        operation: &'static str,
        user: &UserId,
        after: Option<&GroupId>,
        limit: usize,
    ) -> Result<(Vec<GroupId>, bool), Failure> {
        let output = self
            .table
            .client
            .query()
            .table_name(&self.table.name)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", keys::user_pk(user))
            .expression_attribute_values(":first", keys::first_membership(after))
            .expression_attribute_values(":last", keys::last_membership())
            // One more than asked for tells whether there are more.
            .limit(i32::try_from(limit.saturating_add(1)).unwrap_or(i32::MAX))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(operation, &error))?;
        self.table.count("Query", Unit::ReadUnit, output.consumed_capacity());
        let ids = output.items().iter().take(limit).map(keys::membership);
        let ids = ids.collect::<Result<_, _>>().map_err(|error| unreadable(operation, error))?;
        Ok((ids, output.items().len() > limit))
    }
}

fn unreadable(operation: &'static str, error: UnreadableItem) -> Failure {
    refused(operation, error.to_string())
}

impl Groups for DynamoGroups {
    async fn group(&self, id: &GroupId) -> Result<Option<Group>, Failure> {
        const OPERATION: &str = "read a group";
        let mut members: Vec<Member> = Vec::new();
        let mut group: Option<(GroupName, u64)> = None;
        let mut start: Option<Item> = None;
        loop {
            let output = self
                .table
                .client
                .query()
                .table_name(&self.table.name)
                .consistent_read(true)
                // The group comes last in the order of keys, and is to be read first: members that are newer than its version fail a
                // change, members that are older would pass for current.
                .scan_index_forward(false)
                .key_condition_expression("pk = :pk AND sk >= :first")
                .expression_attribute_values(":pk", keys::group_pk(id))
                .expression_attribute_values(":first", AttributeValue::S(keys::MEMBER_PREFIX.to_owned()))
                .set_exclusive_start_key(start)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| failure(OPERATION, &error))?;
            self.table.count("Query", Unit::ReadUnit, output.consumed_capacity());
            for item in output.items() {
                if keys::is_group(item) {
                    group = Some(keys::group(item).map_err(|error| unreadable(OPERATION, error))?);
                } else {
                    members.push(keys::member(item).map_err(|error| unreadable(OPERATION, error))?);
                }
            }
            start = output.last_evaluated_key().filter(|key| !key.is_empty()).cloned();
            if start.is_none() {
                break;
            }
        }
        Ok(group.map(|(name, version)| Group::new(id.clone(), name, version, members)))
    }

    async fn change(&self, transition: &Transition, id: MessageId) -> Result<bool, Failure> {
        let group = &transition.after.id;
        let mut items = vec![self.replace(transition), self.put(keys::news_item(group, id, &transition.news))];
        for member in &transition.put {
            items.push(self.put(keys::member_item(group, member)));
            items.push(self.put(keys::membership_key(&member.user, group)));
        }
        for user in &transition.removed {
            items.push(self.delete(keys::member_key(group, user)));
            items.push(self.delete(keys::membership_key(user, group)));
        }
        self.table.transact("change a group", items).await
    }

    async fn news(&self, group: &GroupId, id: MessageId) -> Result<Option<News>, Failure> {
        const OPERATION: &str = "read the news of a group";
        let output = self
            .table
            .client
            .get_item()
            .table_name(&self.table.name)
            .consistent_read(true)
            .set_key(Some(keys::news_key(group, id)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failure(OPERATION, &error))?;
        self.table.count("GetItem", Unit::ReadUnit, output.consumed_capacity());
        output.item().map(|item| keys::news(item).map_err(|error| unreadable(OPERATION, error))).transpose()
    }

    async fn groups_of(&self, user: &UserId, after: Option<&GroupId>, limit: usize) -> Result<GroupPage, Failure> {
        const OPERATION: &str = "read the groups of a user";
        let (ids, more) = self.ids(OPERATION, user, after, limit).await?;
        let items = self.table.get_all(OPERATION, ids.iter().map(keys::group_key).collect()).await?;
        let names = items.iter().map(keys::group_name).collect::<Result<_, _>>();
        let mut names: HashMap<GroupId, GroupName> = names.map_err(|error| unreadable(OPERATION, error))?;
        let groups = ids.into_iter().filter_map(|id| names.remove(&id).map(|name| (id, name))).collect();
        Ok(GroupPage { groups, more })
    }

    async fn memberships(
        &self,
        user: &UserId,
        after: Option<&GroupId>,
        limit: usize,
    ) -> Result<MembershipPage, Failure> {
        const OPERATION: &str = "read the memberships of a user";
        let (ids, more) = self.ids(OPERATION, user, after, limit).await?;
        let keys = ids.iter().flat_map(|id| [keys::group_key(id), keys::member_key(id, user)]).collect();
        let (mut names, mut members) = (HashMap::new(), HashMap::new());
        for item in self.table.get_all(OPERATION, keys).await? {
            if keys::is_group(&item) {
                names.extend([keys::group_name(&item).map_err(|error| unreadable(OPERATION, error))?]);
            } else {
                members.extend([keys::member_of(&item).map_err(|error| unreadable(OPERATION, error))?]);
            }
        }
        let next = ids.last().filter(|_| more).cloned();
        let membership = |group: GroupId| {
            let (name, member) = (names.remove(&group)?, members.remove(&group)?);
            Some(Membership { group, name, role: member.role, joined_at: member.joined_at })
        };
        Ok(MembershipPage { memberships: ids.into_iter().filter_map(membership).collect(), next })
    }
}
