import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createWebContext } from "./web-context.ts";

const web = await createWebContext();
after(() => web.dispose());

test("a body can be read once, a clone by itself", async () => {
  const found = await web.run(`
    const response = new Response("héllo", { status: 201, headers: { "x-a": "b" } });
    const copy = response.clone();
    const text = await response.text();
    const again = await response.text().then(() => "read twice", (error) => error instanceof TypeError);
    let late; try { response.clone(); late = "cloned" } catch (error) { late = error instanceof TypeError }
    return [text, response.bodyUsed, again, late, copy.status, copy.headers.get("x-a"), (await copy.bytes()).length, copy.headers.get("content-type")]`);
  assert.deepEqual(found, ["héllo", true, true, true, 201, "b", 6, "text/plain;charset=UTF-8"]);
});

test("a stream as body is read to its end, and a body as stream too", async () => {
  const found = await web.run(`
    const encoder = new TextEncoder();
    const stream = new ReadableStream({ start(controller) { controller.enqueue(encoder.encode("a")); controller.enqueue(encoder.encode("b")); controller.close() } });
    const one = new Response(stream);
    const two = one.clone();
    const chunks = [];
    for await (const chunk of new Response("xyz").body) chunks.push(...chunk);
    const reader = new Response("q");
    reader.body.getReader();
    const locked = await reader.text().catch((error) => error instanceof TypeError);
    return [await one.text(), await two.text(), one.bodyUsed, chunks, locked]`);
  assert.deepEqual(found, ["ab", "ab", true, [120, 121, 122], true]);
});

test("text streams through a TransformStream", async () => {
  const found = await web.run(`
    const upper = new TransformStream({ transform(chunk, controller) { controller.enqueue(new TextEncoder().encode(new TextDecoder().decode(chunk).toUpperCase())) } });
    return new Response(new Response("quiet").body.pipeThrough(upper)).text()`);
  assert.equal(found, "QUIET");
});

test("a stream of anything but bytes is refused", async () => {
  assert.equal(
    await web.run(`return new Response(new ReadableStream({ start(c) { c.enqueue("text"); c.close() } })).text().catch((error) => error instanceof TypeError)`),
    true,
  );
});

test("a request takes method, headers and body; what is not allowed is a TypeError", async () => {
  const found = await web.run(`
    const request = new Request("https://a.example/x#h", { method: "post", body: new URLSearchParams({ a: "1" }), headers: { "X-A": " b " } });
    const other = new Request(request, { headers: { "x-c": "d" } });
    const refused = [
      () => new Request("/relative"), () => new Request("https://u:p@a.example/"), () => new Request("https://a.example/", { body: "x" }),
      () => new Request("https://a.example/", { method: "TRACE" }), () => new Request("https://a.example/", { method: "a b" }), () => new Request(request),
      () => new Headers({ "a b": "c" }), () => new Headers({ a: "b\\nc" }), () => new Headers({ a: "\\u010d\\u010a" }), () => new Response("x", { status: 204 }),
    ].map((make) => { try { make(); return "allowed" } catch (error) { return error instanceof TypeError } });
    return [request.method, request.url, request.headers.get("x-a"), request.headers.get("content-type"), request.bodyUsed, other.method, other.headers.get("x-c"), await other.text(), refused]`);
  assert.deepEqual(found, [
    ...["POST", "https://a.example/x#h", "b", "application/x-www-form-urlencoded;charset=UTF-8", true, "POST", "d", "a=1"],
    [true, true, true, true, true, true, true, true, true, true],
  ]);
});

test("headers are combined and sorted, Set-Cookie stays apart", async () => {
  const found = await web.run(`
    const headers = new Headers([["b", "1"], ["A", "2"], ["b", "3"], ["set-cookie", "x=1"], ["Set-Cookie", "y=2"]]);
    headers.append("c", "4"); headers.set("B", "5"); headers.delete("a");
    return [[...headers], headers.getSetCookie(), headers.get("set-cookie"), headers.get("none"), headers.has("SET-COOKIE")]`);
  assert.deepEqual(found, [
    [
      ["b", "5"],
      ["c", "4"],
      ["set-cookie", "x=1"],
      ["set-cookie", "y=2"],
    ],
    ["x=1", "y=2"],
    "x=1, y=2",
    null,
    true,
  ]);
});

test("forms go out as multipart and come back the same", async () => {
  const found = await web.run(`
    const form = new FormData();
    form.append("name", "Ä\\nb"); form.append("file", new File(["\\x00\\r\\n--x"], 'a"b.bin', { type: "text/x" })); form.append("blob", new Blob(["z"])); form.append("empty", "");
    const request = new Request("https://a.example/", { method: "POST", body: form });
    const back = await request.formData();
    const file = back.get("file");
    return [back.get("name"), file.name, file.type, [...await file.bytes()], back.get("blob").name, back.get("empty"), [...back.keys()]]`);
  assert.deepEqual(found, ["Ä\r\nb", 'a"b.bin', "text/x", [0, 13, 10, 45, 45, 120], "blob", "", ["name", "file", "blob", "empty"]]);
});

test("broken multipart is a TypeError, never a hang", async () => {
  const found = await web.run(`
    const bodies = ["", "--b", "--b\\r\\n", "--b\\r\\nx\\r\\n\\r\\ny\\r\\n--b--", "--b\\r\\ncontent-disposition: form-data; name=\\"a\\"\\r\\n\\r\\nrest", "--b\\r\\n\\r\\n\\r\\n--b--"];
    return Promise.all(bodies.map((body) => new Response(body, { headers: { "content-type": "multipart/form-data; boundary=b" } }).formData().then(() => "read", (error) => error instanceof TypeError)))`);
  assert.deepEqual(found, [true, true, true, true, true, true]);
  assert.deepEqual(
    await web.run(`return [...(await new Response("a=1&b=%C3%A4", { headers: { "content-type": "application/x-www-form-urlencoded" } }).formData())]`),
    [
      ["a", "1"],
      ["b", "ä"],
    ],
  );
  assert.deepEqual(
    await web.run(`return [...(await new Response("--b--", { headers: { "content-type": 'multipart/form-data; boundary="b"' } }).formData())]`),
    [],
  );
});

test("blobs slice and tell their type", async () => {
  assert.deepEqual(
    await web.run(
      `const blob = new Blob(["abc", new Uint8Array([100])], { type: "Text/Plain" }); return [blob.size, blob.type, await blob.slice(1, -1).text(), await new Response(blob).text()]`,
    ),
    [4, "text/plain", "bc", "abcd"],
  );
});

test("Response.json and Response.redirect", async () => {
  const found = await web.run(`
    const redirect = Response.redirect("https://a.example/x", 307);
    let frozen; try { redirect.headers.set("a", "b") } catch (error) { frozen = error instanceof TypeError }
    const json = Response.json({ a: [1] }, { status: 418, headers: { "x-a": "b" } });
    return [redirect.status, redirect.headers.get("location"), frozen, json.status, json.headers.get("content-type"), json.headers.get("x-a"), await json.json()]`);
  assert.deepEqual(found, [307, "https://a.example/x", true, 418, "application/json", "b", { a: [1] }]);
});
