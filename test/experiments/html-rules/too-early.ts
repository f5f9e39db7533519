import { defineRule, type RuleResponse } from "sluice";

export default defineRule({
  when: { path: "/too-early" },
  onFailure: "closed",
  onOriginResponse(res) {
    (res as unknown as RuleResponse).html.remove("h1");
  },
});
