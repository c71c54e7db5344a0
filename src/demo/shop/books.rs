//! The sample tool's data: made up, in memory, gone with the demo.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// How far an order has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    New,
    Packing,
    Shipped,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 4] = [Self::New, Self::Packing, Self::Shipped, Self::Cancelled];

    pub const fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Packing => "packing",
            Self::Shipped => "shipped",
            Self::Cancelled => "cancelled",
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct Order {
    number: u32,
    customer: &'static str,
    items: &'static str,
    /// In yen.
    total: u32,
    status: Status,
    remark: String,
    placed: String,
}

#[derive(Debug, Clone, Serialize)]
pub struct Product {
    code: &'static str,
    name_en: &'static str,
    name_ja: &'static str,
    price: u32,
    stock: u32,
}

#[derive(Debug, Clone, Serialize)]
pub struct Figures {
    open: usize,
    shipped: usize,
    /// In yen, without what was cancelled.
    sales: u32,
    low_stock: usize,
}

#[derive(Debug, Clone, Serialize)]
pub struct Month {
    month: &'static str,
    sales: u32,
    cost: u32,
}

/// Everything the tool keeps.
pub struct Books {
    orders: Vec<Order>,
    products: Vec<Product>,
    /// Newest first.
    journal: VecDeque<String>,
}

/// Entries of the journal that are kept.
const JOURNAL: usize = 50;

impl Books {
    /// A morning in a small tea shop.
    pub fn sample(now: Timestamp) -> Self {
        let order = |index: u32, customer, items, total, status| {
            let ago = Duration::from_secs(u64::from(index) * 2_940 + 600);
            let placed =
                Timestamp::from_millis(now.millis().saturating_sub(u64::try_from(ago.as_millis()).unwrap_or_default()));
            Order {
                number: 10_480 - index,
                customer,
                items,
                total,
                status,
                remark: String::new(),
                placed: short(placed),
            }
        };
        Self {
            orders: vec![
                order(0, "佐藤 美咲", "SEN-100 ×2, CUP-02 ×1", 4_360, Status::New),
                order(1, "Claire Dubois", "GYO-050 ×1", 3_240, Status::New),
                order(2, "鈴木 健一", "HOJ-200 ×3", 2_916, Status::Packing),
                order(3, "Jonas Weber", "SEN-100 ×1, KYU-01 ×1", 6_480, Status::Packing),
                order(4, "高橋 由美", "MAT-030 ×2", 5_184, Status::Shipped),
                order(5, "Maria Rossi", "HOJ-200 ×1, CUP-02 ×4", 7_452, Status::Shipped),
                order(6, "伊藤 大輔", "GEN-300 ×2", 2_160, Status::Cancelled),
                order(7, "Emily Carter", "MAT-030 ×1, CHA-01 ×1", 4_752, Status::Shipped),
                order(8, "渡辺 さくら", "SEN-100 ×5", 8_100, Status::Shipped),
            ],
            products: vec![
                product("SEN-100", "Sencha, 100 g", "煎茶 100g", 1_620, 84),
                product("GYO-050", "Gyokuro, 50 g", "玉露 50g", 3_240, 12),
                product("HOJ-200", "Hojicha, 200 g", "ほうじ茶 200g", 972, 130),
                product("GEN-300", "Genmaicha, 300 g", "玄米茶 300g", 1_080, 56),
                product("MAT-030", "Matcha, 30 g", "抹茶 30g", 2_592, 4),
                product("KYU-01", "Teapot (kyusu)", "急須", 4_860, 7),
                product("CUP-02", "Pair of cups", "夫婦湯呑", 1_120, 21),
                product("CHA-01", "Bamboo whisk", "茶筅", 2_160, 3),
            ],
            journal: VecDeque::new(),
        }
    }

    pub fn orders(&self, status: Option<Status>) -> Vec<Order> {
        self.orders.iter().filter(|order| status.is_none_or(|status| order.status == status)).cloned().collect()
    }

    pub fn latest(&self, count: usize) -> Vec<Order> {
        self.orders.iter().take(count).cloned().collect()
    }

    pub fn order(&self, number: u32) -> Option<Order> {
        self.orders.iter().find(|order| order.number == number).cloned()
    }

    pub fn change_order(&mut self, number: u32, status: Status, remark: &str) -> bool {
        let found = self.orders.iter_mut().find(|order| order.number == number);
        found.is_some_and(|order| {
            order.status = status;
            remark.clone_into(&mut order.remark);
            true
        })
    }

    pub fn products(&self) -> Vec<Product> {
        self.products.clone()
    }

    pub fn change_product(&mut self, code: &str, price: u32, stock: u32) -> bool {
        let found = self.products.iter_mut().find(|product| product.code == code);
        found.is_some_and(|product| {
            // A mistyped price in a demo need not overflow its sums.
            product.price = price.min(1_000_000);
            product.stock = stock.min(1_000_000);
            true
        })
    }

    pub fn figures(&self) -> Figures {
        let count = |status| self.orders.iter().filter(|order| order.status == status).count();
        let counted = self.orders.iter().filter(|order| order.status != Status::Cancelled);
        Figures {
            open: count(Status::New) + count(Status::Packing),
            shipped: count(Status::Shipped),
            sales: counted.map(|order| order.total).sum(),
            low_stock: self.products.iter().filter(|product| product.stock < 10).count(),
        }
    }

    pub fn months(&self) -> Vec<Month> {
        [("06", 612_000, 388_000), ("07", 655_400, 401_200), ("08", 498_700, 342_900), ("09", 701_300, 429_800)]
            .map(|(month, sales, cost)| Month { month, sales, cost })
            .to_vec()
    }

    /// Writes a line into the journal and gives it back.
    pub fn note(&mut self, now: Timestamp, who: &str, what: &str) -> String {
        let line = format!("{}  {who}: {what}", short(now));
        self.journal.push_front(line.clone());
        self.journal.truncate(JOURNAL);
        line
    }

    pub fn journal(&self) -> Vec<String> {
        self.journal.iter().cloned().collect()
    }
}

const fn product(code: &'static str, name_en: &'static str, name_ja: &'static str, price: u32, stock: u32) -> Product {
    Product { code, name_en, name_ja, price, stock }
}

/// `2026-11-21 08:15`, in UTC.
fn short(moment: Timestamp) -> String {
    let text = moment.to_string();
    text.get(..16).map_or_else(|| text.clone(), |start| start.replace('T', " "))
}
