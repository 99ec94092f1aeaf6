/** The demo's database: a small shop with customers, products, orders and their lines. */
import { DatabaseSync } from "node:sqlite";
import { seededRandom, type Random } from "./random.ts";

const CUSTOMERS = 5_000;
const PRODUCTS = 400;
const ORDERS = 30_000;
const FIRST_ORDER_MS = Date.UTC(2026, 0, 1);

const FIRST = [
  "Ada",
  "Grace",
  "Edsger",
  "Barbara",
  "Donald",
  "Frances",
  "Niklaus",
  "Radia",
  "Ken",
  "Hedy",
];
const LAST = [
  "Lovelace",
  "Hopper",
  "Dijkstra",
  "Liskov",
  "Knuth",
  "Allen",
  "Wirth",
  "Perlman",
  "Lamarr",
];
const CITIES = [
  "Zürich",
  "Lisboa",
  "Kraków",
  "Tromsø",
  "Nairobi",
  "Kyoto",
  "Montréal",
  "Valparaíso",
];
const ADJECTIVES = ["quiet", "copper", "folding", "northern", "wool", "paper", "solar", "tidal"];
const NOUNS = ["lamp", "kettle", "notebook", "bicycle", "radio", "tent", "clock", "compass"];
const STATES = ["placed", "paid", "shipped", "delivered", "returned"] as const;

const SCHEMA = `
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  city TEXT NOT NULL,
  joined_at TEXT NOT NULL,
  preferences TEXT NOT NULL CHECK (json_valid(preferences))
);
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  sku TEXT NOT NULL UNIQUE,
  title TEXT NOT NULL,
  price REAL NOT NULL,
  stock INTEGER NOT NULL
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  state TEXT NOT NULL,
  placed_at TEXT NOT NULL,
  note TEXT
);
CREATE TABLE order_lines (
  order_id INTEGER NOT NULL REFERENCES orders (id),
  line INTEGER NOT NULL,
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL,
  price REAL NOT NULL,
  PRIMARY KEY (order_id, line)
) WITHOUT ROWID;
CREATE INDEX orders_by_customer ON orders (customer_id, placed_at);
CREATE INDEX orders_by_state ON orders (state);
CREATE INDEX lines_by_product ON order_lines (product_id);
CREATE VIEW revenue_by_city AS
  SELECT city, count(DISTINCT orders.id) AS orders, round(sum(quantity * price), 2) AS revenue
  FROM order_lines JOIN orders ON orders.id = order_id JOIN customers ON customers.id = customer_id
  GROUP BY city;
`;

/** Writes the sample database to a new file at `path`; some 10 MB. */
export function createSampleDatabase(path: string): void {
  const database = new DatabaseSync(path);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec(SCHEMA);
  database.exec("BEGIN");
  const random = seededRandom(20_261_124);
  insertCustomers(database, random);
  insertProducts(database, random);
  for (let id = 1; id <= ORDERS; id++) {
    insertOrder(database, random, FIRST_ORDER_MS + id * 15 * 60_000);
  }
  database.exec("COMMIT");
  database.close();
}

/** One new order with one to four lines; returns its id. */
export function insertOrder(database: DatabaseSync, random: Random, placedAtMs: number): number {
  const { order, line } = orderStatements(database);
  const note = random.below(5) === 0 ? `please ring twice, ${random.pick(FIRST)}` : null;
  const { lastInsertRowid } = order.run(
    1 + random.below(CUSTOMERS),
    random.pick(STATES),
    new Date(placedAtMs).toISOString(),
    note,
  );
  const lines = 1 + random.below(4);
  for (let number = 1; number <= lines; number++) {
    const product = 1 + random.below(PRODUCTS);
    line.run(lastInsertRowid, number, product, 1 + random.below(5), 4 + (product % 90) + 0.95);
  }
  return Number(lastInsertRowid);
}

type Statements = Record<"order" | "line", ReturnType<DatabaseSync["prepare"]>>;
const prepared = new WeakMap<DatabaseSync, Statements>();

function orderStatements(database: DatabaseSync): Statements {
  let statements = prepared.get(database);
  if (!statements) {
    statements = {
      order: database.prepare(
        "INSERT INTO orders (customer_id, state, placed_at, note) VALUES (?, ?, ?, ?)",
      ),
      line: database.prepare("INSERT INTO order_lines VALUES (?, ?, ?, ?, ?)"),
    };
    prepared.set(database, statements);
  }
  return statements;
}

function insertCustomers(database: DatabaseSync, random: Random): void {
  const insert = database.prepare("INSERT INTO customers VALUES (?, ?, ?, ?, ?)");
  for (let id = 1; id <= CUSTOMERS; id++) {
    const preferences = { newsletter: random.below(2) === 1, colours: [random.pick(ADJECTIVES)] };
    insert.run(
      id,
      `${random.pick(FIRST)} ${random.pick(LAST)}`,
      random.pick(CITIES),
      new Date(FIRST_ORDER_MS - random.below(1_000) * 86_400_000).toISOString().slice(0, 10),
      JSON.stringify(preferences),
    );
  }
}

function insertProducts(database: DatabaseSync, random: Random): void {
  const insert = database.prepare("INSERT INTO products VALUES (?, ?, ?, ?, ?)");
  for (let id = 1; id <= PRODUCTS; id++) {
    const title = `${random.pick(ADJECTIVES)} ${random.pick(NOUNS)}`;
    insert.run(
      id,
      `SKU-${String(id).padStart(5, "0")}`,
      title,
      4 + (id % 90) + 0.95,
      random.below(500),
    );
  }
}
