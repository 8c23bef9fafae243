# Marginal means, slopes and contrasts by R's emmeans, for test_marginal_families.py.
# Run here: Rscript generate.R > ../marginal/emmeans.json   (needs lme4, lmerTest, pbkrtest, emmeans, mvtnorm)
# lme4's own lmer: lmerTest's leaves its fits at a theta that numerical differentiation has moved.
suppressMessages({library(lme4); library(emmeans); library(jsonlite); library(mvtnorm)})
emm_options(lmer.df = "satterthwaite", lmerTest.limit = 1e5, pbkrtest.limit = 1e5, msg.nesting = FALSE, msg.interaction = FALSE)
schema <- fromJSON("../data/schema.json", simplifyVector = FALSE)$datasets
read <- function(name) {
  s <- schema[[name]]
  d <- read.csv(file.path("../data", s$file), na.strings = "NA", colClasses = sapply(
    s$columns, function(c) if (c$type == "factor") "character" else "numeric"))
  for (v in names(s$columns)) if (s$columns[[v]]$type == "factor")
    d[[v]] <- factor(d[[v]], levels = unlist(s$columns[[v]]$levels), ordered = isTRUE(s$columns[[v]]$ordered))
  d
}
control <- lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-10, maxfun = 1e5),
                       check.conv.grad = "ignore", check.conv.hess = "ignore", check.conv.singular = "ignore")
out <- list()
frame <- function(x) {
  d <- as.data.frame(x)
  for (v in names(d)) if (is.factor(d[[v]])) d[[v]] <- as.character(d[[v]])
  as.list(d)
}
add <- function(id, dataset, formula, call, x, ...) {
  s <- summary(x, infer = c(TRUE, TRUE))
  d <- frame(s)
  names(d) <- sub("^(emmean|estimate|[A-Za-z0-9]+\\.trend)$", "estimate", names(d))
  names(d) <- c(SE = "se", lower.CL = "lower", upper.CL = "upper", t.ratio = "t", p.value = "p")[names(d)] |>
    (\(n) ifelse(is.na(n), names(d), n))()
  out[[id]] <<- list(dataset = dataset, formula = formula, call = call, ..., table = d)
}
fit <- function(dataset, formula, ...) lmer(as.formula(formula), read(dataset), control = control, ...)

# weights, on unbalanced data
f <- "y ~ x + f + h + (1 | g)"
d <- read("missing"); set.seed(11)
d$h <- factor(ifelse(runif(nrow(d)) < 0.3 + 0.4 * (d$f == "trtA"), "u", "v"))
d$z <- rep(c(0, 1, 0, 0, 1), length.out = nrow(d))
d$w <- rep(c(1, 2, 0.5), length.out = nrow(d))
d$off <- d$x * 2 + rep(1:4, length.out = nrow(d))
d$xp <- round(exp(d$x / 3) + rep(c(0.2, 0.9, 0.5), length.out = nrow(d)), 4)
write.csv(d, "unbalanced.csv", row.names = FALSE, quote = FALSE)
d <- read.csv("unbalanced.csv", stringsAsFactors = TRUE)
d <- d[complete.cases(d), ]
write.csv(d, "unbalanced.csv", row.names = FALSE, quote = FALSE)
d <- read.csv("unbalanced.csv", stringsAsFactors = TRUE)
U <- function(formula, ...) lmer(as.formula(formula), d, control = control, ...)
f <- "y ~ x + f * h + z + (1 | g)"; m <- U(f)
for (w in c("equal", "proportional", "outer", "cells", "flat"))
  for (v in c("f", "h")) add(paste("weights", w, v), "unbalanced", f, "means", emmeans(m, v, weights = w), variables = v, weights = w)
add("two-valued", "unbalanced", f, "means", emmeans(m, "z"), variables = "z")
add("overall", "unbalanced", f, "means", emmeans(m, ~ 1), variables = list())
add("at", "unbalanced", f, "means", emmeans(m, ~ f, at = list(x = c(-1, 2), z = 1)), variables = "f", at = list(x = c(-1, 2), z = 1))
add("at levels", "unbalanced", f, "means", emmeans(m, ~ h, at = list(f = c("ctl", "trtB"))), variables = "h", at = list(f = c("ctl", "trtB")))
add("at levels proportional", "unbalanced", f, "means", emmeans(m, ~ h, at = list(f = c("ctl", "trtB")), weights = "proportional"),
    variables = "h", at = list(f = c("ctl", "trtB")), weights = "proportional")
mw <- lmer(as.formula(f), d, control = control, weights = w)
add("prior weights", "unbalanced", f, "means", emmeans(mw, "f", weights = "proportional"), variables = "f", weights = "proportional", prior = "w")
f <- "y ~ offset(off) + f * h + (1 | g)"; m <- U(f)
add("offset", "unbalanced", f, "means", emmeans(m, "f"), variables = "f")
f <- "y ~ poly(x, 2) * f + log(xp) + h + (1 | g)"; m <- U(f)
add("transforms", "unbalanced", f, "means", emmeans(m, "f", at = list(x = 0.5)), variables = "f", at = list(x = 0.5))
add("transforms, slope of x", "unbalanced", f, "slopes", emtrends(m, "f", var = "x", delta.var = 1e-6), variable = "x", by = "f")
add("transforms, slope of xp", "unbalanced", f, "slopes", emtrends(m, ~ xp, var = "xp", delta.var = 1e-6, at = list(xp = c(0.7, 1.5))),
    variable = "xp", by = "xp", at = list(xp = c(0.7, 1.5)))
f <- "y ~ x * f + x * h + I(x^2) + (1 | g)"; m <- U(f)
s <- emtrends(m, ~ f, var = "x", delta.var = 1e-6)
add("slopes", "unbalanced", f, "slopes", s, variable = "x", by = "f")
add("slopes kenward-roger", "unbalanced", f, "slopes", emtrends(m, ~ f, var = "x", delta.var = 1e-6, lmer.df = "kenward-roger"), variable = "x", by = "f", ddf = "kenward-roger")
add("slopes pairs", "unbalanced", f, "slopes", pairs(s), variable = "x", by = "f", method = "pairwise", adjust = "tukey")
add("slopes proportional", "unbalanced", f, "slopes", emtrends(m, ~ f, var = "x", delta.var = 1e-6, weights = "proportional"), variable = "x", by = "f", weights = "proportional")

# families and adjustments
f <- "y ~ f * h + x + (1 | g)"; m <- U(f)
e <- emmeans(m, ~ f | h)
for (a in c("tukey", "bonferroni", "scheffe", "holm", "sidak", "fdr", "none"))
  add(paste("pairwise by", a), "unbalanced", f, "means", update(pairs(e), adjust = a), variables = "f", by = "h", method = "pairwise", adjust = a)
add("pairwise across", "unbalanced", f, "means", update(pairs(emmeans(m, ~ f * h)), adjust = "tukey"), variables = list("f", "h"), method = "pairwise", adjust = "tukey")
add("scheffe across", "unbalanced", f, "means", update(pairs(emmeans(m, ~ f * h)), adjust = "scheffe"), variables = list("f", "h"), method = "pairwise", adjust = "scheffe")
for (k in c("trt.vs.ctrl", "consec", "poly", "eff", "revpairwise"))
  for (a in c("none", "bonferroni", "sidak", if (k != "eff") "scheffe"))  # eff: rank taken as 3, not 2
    add(paste(k, a), "unbalanced", f, "means", update(contrast(emmeans(m, "f"), k), adjust = a), variables = "f", method = k, adjust = a)
add("control", "unbalanced", f, "means", update(contrast(emmeans(m, "f"), "trt.vs.ctrl", ref = 2), adjust = "none"), variables = "f", method = "trt.vs.ctrl", adjust = "none", control = "trtA")
f2 <- "angle ~ recipe * temperature + (1 | recipe:replicate)"; m2 <- fit("cake", f2)
e2 <- emmeans(m2, "temperature")
for (a in c("holm", "fdr", "sidak")) add(paste("six", a), "cake", f2, "means", update(pairs(e2), adjust = a), variables = "temperature", method = "pairwise", adjust = a)
add("six poly", "cake", f2, "means", contrast(e2, "poly"), variables = "temperature", method = "poly", adjust = "none")

# two equal degrees of freedom (210): exact multivariate t, by mvtnorm with high accuracy
mvt <- function(x) {
  L <- x@linfct; V <- cov2cor(L %*% x@V %*% t(L)); s <- summary(x, infer = c(TRUE, TRUE), adjust = "none")
  df <- round(s$df[1]); set.seed(1); k <- nrow(L)
  acc <- GenzBretz(maxpts = 3e5, abseps = 1e-6)
  p <- sapply(abs(s$t.ratio), function(t) 1 - pmvt(rep(-t, k), rep(t, k), df = df, corr = V, algorithm = acc))
  f <- function(c) pmvt(rep(-c, k), rep(c, k), df = df, corr = V, algorithm = acc) - 0.95
  c <- uniroot(f, c(1.5, 6), tol = 1e-6)$root
  list(p = p, critical = c, df = df)
}
for (k in c("consec", "trt.vs.ctrl", "poly"))
  out[[paste("mvt", k)]] <- c(list(dataset = "cake", formula = f2, call = "mvt", variables = "temperature", method = k), mvt(contrast(e2, k)))

# nested factors
set.seed(5)
n <- expand.grid(rep = 1:2, leaf = 1:3, site = paste0("s", 1:8))
n$region <- factor(c("n", "n", "n", "e", "e", "w", "w", "w")[as.integer(n$site)])
n$tr <- factor(ifelse((as.integer(n$site) + n$leaf + n$rep) %% 2 == 0, "no", "yes"))
n$pot <- factor(1:nrow(n) %% 12)
u <- rnorm(12)
n$y <- round(rnorm(nrow(n)) + as.integer(n$site) / 2 + u[as.integer(n$pot)] + (n$tr == "yes"), 3)
n <- n[-c(1, 2, 9, 25), ]
write.csv(n[c("y", "site", "region", "tr", "pot")], "nested.csv", row.names = FALSE, quote = FALSE)
n <- read.csv("nested.csv", stringsAsFactors = TRUE); n$pot <- factor(n$pot)
N <- function(formula) lmer(as.formula(formula), n, control = control)
f <- "y ~ region + tr + region:site + (1 | pot)"
m <- suppressMessages(suppressWarnings(N(f)))
for (w in c("equal", "proportional", "cells")) for (v in c("region", "tr"))
  add(paste("nested", w, v), "nested", f, "means", emmeans(m, v, weights = w), variables = v, weights = w)
add("nested site", "nested", f, "means", emmeans(m, "site"), variables = "site")
add("nested site by", "nested", f, "means", emmeans(m, "site", by = "tr"), variables = "site", by = "tr")
add("nested region by", "nested", f, "means", emmeans(m, "tr", by = "region"), variables = "tr", by = "region")
n$k <- factor(ifelse(n$site %in% c("s1", "s3", "s5", "s7"), "a", "b"))
write.csv(n[c("y", "site", "region", "tr", "pot", "k")], "nested.csv", row.names = FALSE, quote = FALSE)
f <- "y ~ tr + tr:k + (1 | pot)"
m <- suppressMessages(suppressWarnings(N(f)))
add("formula nesting", "nested", f, "means", emmeans(m, "tr"), variables = "tr")
add("formula nesting, inner", "nested", f, "means", emmeans(m, "k"), variables = "k")
out$versions <- list(R = R.version.string, lme4 = as.character(packageVersion("lme4")), lmerTest = as.character(packageVersion("lmerTest")),
  pbkrtest = as.character(packageVersion("pbkrtest")), emmeans = as.character(packageVersion("emmeans")), mvtnorm = as.character(packageVersion("mvtnorm")))
cat(toJSON(out, auto_unbox = TRUE, digits = NA, na = "null", pretty = 1))
