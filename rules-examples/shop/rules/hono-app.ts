export { default } from "../../hono-app/rule.ts";
