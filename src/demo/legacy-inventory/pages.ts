// HTML pages of the embedded legacy application.

const escape = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (title: string, body: string): string =>
  `<!DOCTYPE html>\n<html><head><title>${escape(title)} - Inventory 2.3</title></head>\n<body>\n<h1>${escape(title)}</h1>\n${body}\n</body></html>\n`;

export function loginPage(formToken: string, message = ''): string {
  return page(
    'Sign in',
    `${message && `<p class="error">${escape(message)}</p>`}
<form method="post" action="/login">
  <input type="hidden" name="form_token" value="${escape(formToken)}">
  <label>User <input name="username"></label>
  <label>Password <input type="password" name="password"></label>
  <button>Sign in</button>
</form>`,
  );
}

export function menuPage(user: string, csrf: string): string {
  return page(
    'Menu',
    `<p>Signed in as ${escape(user)}</p>
<ul><li><a href="/orders">Orders</a></li></ul>
<form method="post" action="/logout"><input type="hidden" name="csrf_token" value="${escape(csrf)}"><button>Sign out</button></form>`,
  );
}

export interface Order {
  number: string;
  customer: string;
  sku: string;
  quantity: number;
}

export function ordersPage(orders: readonly Order[]): string {
  const rows = orders.map((o) => `<tr><td>${escape(o.number)}</td><td>${escape(o.customer)}</td><td>${escape(o.sku)}</td><td>${o.quantity}</td></tr>`);
  return page('Orders', `<table>\n<tr><th>Order</th><th>Customer</th><th>SKU</th><th>Quantity</th></tr>\n${rows.join('\n')}\n</table>`);
}
