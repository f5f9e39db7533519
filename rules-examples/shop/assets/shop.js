// The basket lives in the browser; its number stands in the page's head, its lines in the checkout.
const KEY = "basket";
const read = () => JSON.parse(localStorage.getItem(KEY) ?? "{}");

function show() {
  const basket = read();
  const count = Object.values(basket).reduce((sum, quantity) => sum + quantity, 0);
  for (const place of document.querySelectorAll("[data-basket-count]")) place.textContent = String(count);
  const lines = document.querySelector("[data-basket-lines]");
  if (lines) void showLines(lines, basket);
}

async function showLines(table, basket) {
  const answer = await fetch("/api/products");
  const { products } = await answer.json();
  const chosen = products.filter((product) => basket[product.id]);
  table.replaceChildren();
  let total = 0;
  for (const product of chosen) {
    const quantity = basket[product.id];
    total += quantity * product.priceCents;
    const row = table.insertRow();
    row.insertCell().textContent = `${quantity} × ${product.name}`;
    row.insertCell().textContent = `€ ${((quantity * product.priceCents) / 100).toFixed(2)}`;
  }
  const last = table.insertRow();
  last.insertCell().textContent = chosen.length === 0 ? "The basket is empty." : "Total, with postage";
  last.insertCell().textContent = chosen.length === 0 ? "" : `€ ${(total / 100).toFixed(2)}`;
  for (const place of document.querySelectorAll("[data-basket-total]")) place.value = (total / 100).toFixed(2);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-add]");
  if (!button) return;
  const basket = read();
  basket[button.dataset.add] = (basket[button.dataset.add] ?? 0) + 1;
  localStorage.setItem(KEY, JSON.stringify(basket));
  button.textContent = "In the basket ✓";
  show();
});

if (document.querySelector("[data-basket-clear]")) localStorage.removeItem(KEY);
show();
document.documentElement.dataset.script = "ran";
