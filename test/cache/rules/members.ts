import { defineRule } from "sluice";

/** Matches by a cookie: who has none must not get what it made. */
export default defineRule({
  when: { path: "/matched", cookie: { member: "yes" } },
  onOriginRequest(req) {
    req.headers.set("x-for", "members");
  },
});
