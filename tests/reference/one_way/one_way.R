# One-way random models: anova tables, lme4 fits, psych's intraclass correlations, power of the F
# test (closed form, and by simulation where sizes differ), for one_way.json beside this script.
# Rscript one_way.R [directory of the CSV files] > one_way.json
suppressMessages({library(lme4); library(psych); library(jsonlite)})
args <- commandArgs(trailingOnly = TRUE)
here <- if (length(args)) args[1] else "../data"
read <- function(name) {
  d <- read.csv(file.path(here, name))
  d$Batch <- factor(d$Batch)
  d
}
balanced <- list(dyestuff = read("dyestuff.csv"), dyestuff2 = read("dyestuff2.csv"))
# every batch loses another number of rows
keep <- unlist(lapply(0:5, function(i) 5 * i + seq_len(c(5, 2, 4, 3, 1, 5)[i + 1])))
unbalanced <- list(dyestuff = balanced$dyestuff[keep, ], dyestuff2 = balanced$dyestuff2[keep, ])

fitted <- function(d, reml) {
  f <- lmer(Yield ~ 1 + (1 | Batch), d, REML = reml,
            control = lmerControl(optimizer = "bobyqa", optCtrl = list(rhoend = 1e-12)))
  list(mean = unname(fixef(f)), mean_se = sqrt(vcov(f)[1, 1]), var_group = VarCorr(f)$Batch[1, 1],
       var_resid = sigma(f)^2, llf = as.numeric(logLik(f)),
       blup = ranef(f, condVar = FALSE)$Batch[[1]])
}
one <- function(d) {
  t <- anova(lm(Yield ~ Batch, d))
  list(rows = as.integer(rownames(d)), sum_sq = t[["Sum Sq"]], df = t[["Df"]],
       mean_sq = t[["Mean Sq"]], F = t[["F value"]][1], p = t[["Pr(>F)"]][1],
       ml = fitted(d, FALSE), reml = fitted(d, TRUE))
}
icc <- function(d, alpha) {
  wide <- matrix(d$Yield, ncol = 5, byrow = TRUE)
  r <- suppressWarnings(ICC(wide, lmer = FALSE, alpha = alpha)$results["Single_raters_absolute", ])
  c(r$ICC, r[["lower bound"]], r[["upper bound"]])
}
power <- function(a, n, ratio, alpha) {
  1 - pf(qf(1 - alpha, a - 1, a * (n - 1)) / (1 + n * ratio), a - 1, a * (n - 1))
}
simulated <- function(sizes, ratio, alpha, nsim) {
  set.seed(1)
  a <- length(sizes); n <- sum(sizes)
  critical <- qf(1 - alpha, a - 1, n - a)
  # means of groups and residual sum of squares are sufficient
  means <- matrix(rnorm(a * nsim), a) * sqrt(ratio + 1 / sizes)
  grand <- colSums(means * sizes) / n
  between <- colSums(sizes * (means - rep(grand, each = a))^2) / (a - 1)
  mean(between / (rchisq(nsim, n - a) / (n - a)) > critical)
}
grid <- expand.grid(a = c(2, 6, 20), n = c(2, 5, 30), ratio = c(0, 0.1, 1), alpha = c(0.01, 0.05))
grid$power <- mapply(power, grid$a, grid$n, grid$ratio, grid$alpha)
sizes <- c(5, 2, 4, 3, 1, 5)
ratios <- c(0.1, 0.5, 2)
nsim <- 400000
result <- list(
  note = paste("R", getRversion(), "lme4", packageVersion("lme4"), "psych", packageVersion("psych")),
  balanced = lapply(balanced, one), unbalanced = lapply(unbalanced, one),
  icc = list(dyestuff = list("0.05" = icc(balanced$dyestuff, .05), "0.2" = icc(balanced$dyestuff, .2)),
             dyestuff2 = list("0.05" = icc(balanced$dyestuff2, .05))),
  power = grid,
  simulated = list(sizes = sizes, alpha = 0.05, nsim = nsim, ratio = ratios,
                   power = sapply(ratios, function(r) simulated(sizes, r, 0.05, nsim)))
)
cat(toJSON(result, digits = 15, auto_unbox = TRUE, pretty = TRUE), "\n")
