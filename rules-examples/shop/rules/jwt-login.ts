export { default } from "../../jwt-login/rule.ts";
