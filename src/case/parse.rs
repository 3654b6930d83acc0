//! The ticket format, field by field: from a JSON value to a [`Case`].
//! Only nonsense is refused. Times out of order, odd kinds and empty texts are what real disputes are made of.

use std::collections::HashMap;

use serde_json::Value;

use super::error::CaseErrors;
use super::hash::CaseHash;
use super::ids::name;
use super::reader::Reader;
use super::{
    Case, Claim, Currency, Evidence, EvidenceId, Item, LogisticsEvent, MAX_BYTES, MAX_EVIDENCE, MAX_MESSAGES, Message,
    Order, Return, Rule, Seller, json,
};

pub(super) fn case(bytes: &[u8]) -> Result<Case, CaseErrors> {
    let value = json::read(bytes)?;
    let ticket_id = || value.get("ticket_id").and_then(Value::as_str).and_then(|id| id.parse().ok());
    let canonical = canonical(&value).map_err(|errors| errors.with_ticket_id(ticket_id()))?;
    let mut reader = Reader::default();
    let case = ticket(&mut reader, &value, canonical);
    reader.finish(case).map_err(|errors| errors.with_ticket_id(ticket_id()))
}

/// The value's RFC 8785 form. It has the ticket's limit too: numbers can grow when written out in full (1e20), and a case
/// must be readable from its canonical form.
fn canonical(value: &Value) -> Result<Vec<u8>, CaseErrors> {
    match serde_json_canonicalizer::to_vec(value) {
        Ok(bytes) if bytes.len() <= MAX_BYTES => Ok(bytes),
        // A value that was just read can always be written, so only its size is left to go wrong.
        Ok(_) | Err(_) => Err(CaseErrors::one(json::too_large())),
    }
}

/// See [`Case::subject`]. An unknown field is never refused, so a `buyer_id` that is no id does not count.
pub(super) fn subject(value: &Value) -> Option<String> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).and_then(|text| name(text).ok());
    let order = || text(value.get("order").and_then(|order| order.get("order_id"))).map(|id| format!("order:{id}"));
    text(value.get("buyer_id")).or_else(order)
}

fn ticket<'v>(reader: &mut Reader<'v>, value: &'v Value, canonical: Vec<u8>) -> Option<Case> {
    let mut o = reader.object(value)?;
    let ticket_id = o.required("ticket_id", Reader::parsed);
    let opened_at = o.required("opened_at", Reader::time);
    let order = o.required("order", order);
    let returned = o.optional("return", returned);
    let claim = o.required("claim", claim);
    let dialogue = o.required("dialogue", |r, v| r.list(v, Some(MAX_MESSAGES), message));
    let evidence = o.required("evidence", all_evidence);
    let logistics = o.required("logistics", |r, v| r.list(v, None, logistics_event));
    Some(Case {
        ticket_id: ticket_id?,
        opened_at: opened_at?,
        order: order?,
        returned: returned?,
        claim: claim?,
        dialogue: dialogue?,
        evidence: evidence?,
        logistics: logistics?,
        subject: subject(value)?,
        hash: CaseHash::of(&canonical),
        canonical: canonical.into_boxed_slice(),
    })
}

fn order<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Order> {
    let mut o = reader.object(value)?;
    let order_id = o.required("order_id", Reader::parsed);
    let paid_at = o.required("paid_at", Reader::time);
    let ship_by = o.optional("ship_by", Reader::time);
    let shipped_at = o.optional("shipped_at", Reader::time);
    let signed_at = o.optional("signed_at", Reader::time);
    let waybill = o.optional("waybill", Reader::parsed);
    let total = o.required("total", Reader::money);
    let freight = o.required("freight", Reader::money);
    let deposit = o.optional("deposit", Reader::money);
    let currency = o.required("currency", currency);
    let services = o.required("services", |r, v| r.list(v, None, Reader::name));
    let items = o.required("items", items);
    let seller = o.required("seller", seller);
    if let (Some(total), Some(freight)) = (total, freight)
        && freight > total
    {
        o.refuse("freight", Rule::FreightAboveTotal);
        return None;
    }
    Some(Order {
        order_id: order_id?,
        paid_at: paid_at?,
        ship_by: ship_by?,
        shipped_at: shipped_at?,
        signed_at: signed_at?,
        waybill: waybill?,
        total: total?,
        freight: freight?,
        deposit: deposit?,
        currency: currency?,
        services: services?,
        items: items?,
        seller: seller?,
    })
}

/// The rules' amounts are in yuan, so an order in another currency cannot be decided by them.
fn currency<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Currency> {
    let currency: Currency = reader.parsed(value)?;
    if currency == Currency::CNY { Some(currency) } else { reader.refuse(value, Rule::CurrencyUnsupported) }
}

fn items<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Vec<Item>> {
    let items = reader.list(value, None, item)?;
    if items.is_empty() { reader.refuse(value, Rule::Empty) } else { Some(items) }
}

fn item<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Item> {
    let mut o = reader.object(value)?;
    let title = o.required("title", Reader::text);
    let spec = o.optional("spec", Reader::text);
    let quantity = o.required("quantity", Reader::quantity);
    let unit_price = o.required("unit_price", Reader::money);
    Some(Item { title: title?, spec: spec?, quantity: quantity?, unit_price: unit_price? })
}

fn seller<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Seller> {
    let mut o = reader.object(value)?;
    let name = o.required("name", Reader::text);
    Some(Seller { name: name? })
}

fn returned<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Return> {
    let mut o = reader.object(value)?;
    let waybill = o.optional("waybill", Reader::parsed);
    let signed_at = o.optional("signed_at", Reader::time);
    Some(Return { waybill: waybill?, signed_at: signed_at? })
}

fn claim<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Claim> {
    let mut o = reader.object(value)?;
    let filed_at = o.required("filed_at", Reader::time);
    let kind = o.required("kind", Reader::name);
    let reason = o.required("reason", Reader::text);
    let statement = o.required("statement", Reader::text);
    Some(Claim { filed_at: filed_at?, kind: kind?, reason: reason?, statement: statement? })
}

fn message<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Message> {
    let mut o = reader.object(value)?;
    let at = o.required("at", Reader::time);
    let from = o.required("from", Reader::parsed);
    let text = o.required("text", Reader::text);
    Some(Message { at: at?, from: from?, text: text? })
}

fn all_evidence<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<Vec<Evidence>> {
    let mut seen = HashMap::new();
    let mut index = 0;
    reader.list(value, Some(MAX_EVIDENCE), |r, v| {
        index += 1;
        evidence(r, v, index - 1, &mut seen)
    })
}

/// One item of evidence. `seen` maps the ids read so far to their index.
fn evidence<'v>(
    reader: &mut Reader<'v>,
    value: &'v Value,
    index: usize,
    seen: &mut HashMap<EvidenceId, usize>,
) -> Option<Evidence> {
    let mut o = reader.object(value)?;
    let evidence_id = o.required("evidence_id", |r, v| {
        let id: EvidenceId = r.parsed(v)?;
        match *seen.entry(id.clone()).or_insert(index) {
            first if first == index => Some(id),
            first => r.refuse(v, Rule::DuplicateEvidenceId { first }),
        }
    });
    let party = o.required("party", Reader::parsed);
    let kind = o.required("kind", Reader::name);
    let submitted_at = o.required("submitted_at", Reader::time);
    let content = o.required("content", Reader::text);
    Some(Evidence {
        evidence_id: evidence_id?,
        party: party?,
        kind: kind?,
        submitted_at: submitted_at?,
        content: content?,
    })
}

fn logistics_event<'v>(reader: &mut Reader<'v>, value: &'v Value) -> Option<LogisticsEvent> {
    let mut o = reader.object(value)?;
    let at = o.required("at", Reader::time);
    let status = o.required("status", Reader::text);
    let detail = o.required("detail", Reader::text);
    Some(LogisticsEvent { at: at?, status: status?, detail: detail? })
}
