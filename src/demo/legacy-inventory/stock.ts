// The stock and the orders of the embedded legacy application.

/** One item in stock. */
export interface Item {
  sku: string;
  name: string;
  quantity: number;
  purchase_price: number;
}

/** The open orders, which never change. */
export const ORDERS = [
  { number: '2026-1041', customer: 'Harbour Supplies', sku: 'A-1', quantity: 40 },
  { number: '2026-1042', customer: 'Northgate Tools', sku: 'B-2', quantity: 12 },
];

/** A new stock by SKU, the same at each start. */
export function createStock(): Map<string, Item> {
  const items: Item[] = [
    { sku: 'A-1', name: 'Hinge, steel', quantity: 240, purchase_price: 1.35 },
    { sku: 'B-2', name: 'Bolt M8 x 40', quantity: 1900, purchase_price: 0.12 },
    { sku: 'C-3', name: 'Door closer', quantity: 18, purchase_price: 42.5 },
  ];
  return new Map(items.map((item) => [item.sku, item]));
}
