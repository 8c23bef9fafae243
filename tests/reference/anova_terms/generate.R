# Type I, II and III tables of unbalanced designs with several codings, by lmerTest.
# Run in this folder: Rscript generate.R
suppressMessages({library(lmerTest); library(pbkrtest); library(jsonlite)})
options(digits = 15)
set.seed(20240501)
d <- expand.grid(a = c("a1", "a2", "a3"), b = c("b1", "b2"), c = c("c1", "c2", "c3"), g = 1:10)
d <- d[sample(nrow(d), 120), ]
d$x <- round(rnorm(nrow(d), 2, 1), 3)
d$z <- round(runif(nrow(d)), 3)
effect <- as.integer(factor(d$a)) + 0.5 * as.integer(factor(d$b)) * d$x
d$y <- round(effect + rnorm(10)[d$g] + rnorm(nrow(d)), 3)
d$g <- paste0("g", d$g)
d <- d[order(d$g), ]
write.csv(d, "data.csv", row.names = FALSE, quote = FALSE)
for (name in c("a", "b", "c", "g")) d[[name]] <- factor(d[[name]])
empty <- d[!(d$a == "a2" & d$b == "b2"), ]

cases <- list(
  treatment = list(y ~ a * b + c + x + (1 | g), NULL, d),
  sum = list(y ~ a * b + c + x + (1 | g), list(a = "contr.sum", b = "contr.sum", c = "contr.sum"), d),
  helmert = list(y ~ a * b + c + x + (1 | g), list(a = "contr.helmert", c = "contr.poly"), d),
  three_way = list(y ~ a * b * c + (1 | g), list(b = "contr.sum"), d),
  slopes = list(y ~ a * x + b + z + (1 | g), NULL, d),
  slopes_sum = list(y ~ a * x * b + (x | g), list(a = "contr.sum", b = "contr.sum"), d),
  numeric = list(y ~ x * z + a + (1 | g), list(a = "contr.sum"), d),
  no_intercept = list(y ~ 0 + a * b + x + (1 | g), NULL, d),
  empty_cell = list(y ~ a * b + x + (1 | g), NULL, empty),
  empty_cell_sum = list(y ~ a * b + x + (1 | g), list(a = "contr.sum", b = "contr.sum"), empty),
  empty_cell_three = list(y ~ a * b * c + (1 | g), list(a = "contr.sum"), empty),
  polynomial = list(y ~ poly(x, 2) * b + c + (1 | g), NULL, d)
)

tabulate <- function(t) list(rows = rownames(t), columns = setNames(
  lapply(seq_len(ncol(t)), function(j) t[[j]]), c("SumSq", "MeanSq", "NumDF", "DenDF", "F", "p")))

out <- lapply(cases, function(case) {
  m <- suppressMessages(lmer(case[[1]], case[[3]], contrasts = case[[2]],
    control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhobeg = 0.2, rhoend = 1e-9))))
  result <- list(formula = deparse(case[[1]]), contrasts = case[[2]],
    empty = nrow(case[[3]]) < nrow(d), criterion = REMLcrit(m))
  for (type in 1:3) result[[paste0("anova", type)]] <- tabulate(suppressMessages(anova(m, type = type)))
  result$kenward_roger3 <- tabulate(suppressMessages(anova(m, type = 3, ddf = "Kenward-Roger")))
  result
})
versions <- sapply(c("lme4", "lmerTest", "pbkrtest"), function(p) as.character(packageVersion(p)))
write(toJSON(list(versions = as.list(versions), cases = out), digits = 15, auto_unbox = TRUE,
  pretty = TRUE, null = "null", na = "null"), "anova_terms.json")
