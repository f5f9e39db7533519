/** What the HTML standard says of elements by name. Lowercase. */

const names = (text: string): ReadonlySet<string> => new Set(text.split(" "));

/** No content, no end tag (HTML, 13.1.2). The last five are obsolete and still parsed so. */
export const VOID = names("area base br col embed hr img input link meta source track wbr basefont bgsound frame keygen param");

/** Content is text up to the end tag; exactly what the tokenizer takes for it. */
export const RAW = names("script style textarea title iframe noembed noframes plaintext xmp");

/** What may stand in `<head>`; anything else ends it (13.2.6.4.4). */
export const IN_HEAD = names("base basefont bgsound link meta title noscript noframes style script template head");

/** A start tag of these ends SVG and MathML (13.2.6.5). */
export const BREAKOUT = names(
  "b big blockquote body br center code dd div dl dt em embed h1 h2 h3 h4 h5 h6 head hr i img li listing menu meta nobr ol p pre ruby s small span strong strike sub sup table tt u ul var",
);

/** Elements of SVG and MathML whose children are HTML again. */
export const INTEGRATION = names("foreignobject desc title mi mo mn ms mtext");

/** The category "special" (13.2.4.2): generic end tags do not reach across these. */
export const SPECIAL = names(
  "address applet area article aside base basefont bgsound blockquote body br button caption center col colgroup dd details dir div dl dt embed fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html iframe img input keygen li link listing main marquee menu meta nav noembed noframes noscript object ol p param plaintext pre script search section select source style summary table tbody td template textarea tfoot th thead title tr track ul wbr xmp foreignobject desc",
);

/** The list of active formatting elements is of these (13.2.4.3). */
export const FORMATTING = names("a b big code em font i nobr s small strike strong tt u");
