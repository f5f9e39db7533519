import { defineRule } from "sluice";
import { failAtTheBadOne } from "./_bad-element.ts";

export default defineRule({
  when: { path: "/closed" },
  onResponse: (res, req) => failAtTheBadOne(res, req.query.get("how")),
});
