/** The rule of loads in which rules only have to run: one field on the way in, one on the way out. */
export const MARKS = `import { defineRule } from "sluice";

export default defineRule({
  onRequest(req) {
    req.headers.set("x-marked", "yes");
  },
  onResponse(res) {
    res.headers.set("x-marked", "yes");
  },
});
`;
