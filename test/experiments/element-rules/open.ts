import { defineRule } from "sluice";
import { failAtTheBadOne } from "./_bad-element.ts";

export default defineRule({
  when: { path: "/open" },
  onFailure: "open",
  onResponse: (res, req) => failAtTheBadOne(res, req.query.get("how")),
});
