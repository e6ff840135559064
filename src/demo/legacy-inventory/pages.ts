// HTML pages of the embedded legacy application. Every value is escaped.

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

const page = (title: string, body: string): string =>
  `<!DOCTYPE html>\n<html><head><title>${escapeHtml(title)} - Inventory 2.3</title></head>\n<body>\n<h1>${escapeHtml(title)}</h1>\n${body}\n</body></html>\n`;

/** The login form. `formToken`: the value of its hidden field. `message`: why it is shown. */
export function loginPage(formToken: string, message = ''): string {
  return page(
    'Sign in',
    `${message && `<p class="error">${escapeHtml(message)}</p>`}
<form method="post" action="/login">
  <input type="hidden" name="form_token" value="${escapeHtml(formToken)}">
  <label>User <input name="username"></label>
  <label>Password <input type="password" name="password"></label>
  <button>Sign in</button>
</form>`,
  );
}

/** The page after a login. Its form for signing out has the CSRF token of the session. */
export function menuPage(user: string, csrf: string): string {
  return page(
    'Menu',
    `<p>Signed in as ${escapeHtml(user)}</p>
<ul><li><a href="/orders">Orders</a></li></ul>
<form method="post" action="/logout"><input type="hidden" name="csrf_token" value="${escapeHtml(csrf)}"><button>Sign out</button></form>`,
  );
}

/** One open order. */
export interface Order {
  number: string;
  customer: string;
  sku: string;
  quantity: number;
}

/** The orders as a table. */
export function ordersPage(orders: readonly Order[]): string {
  const rows = orders.map(
    (o) =>
      `<tr><td>${escapeHtml(o.number)}</td><td>${escapeHtml(o.customer)}</td><td>${escapeHtml(o.sku)}</td><td>${o.quantity}</td></tr>`,
  );
  return page(
    'Orders',
    `<table>\n<tr><th>Order</th><th>Customer</th><th>SKU</th><th>Quantity</th></tr>\n${rows.join('\n')}\n</table>`,
  );
}
