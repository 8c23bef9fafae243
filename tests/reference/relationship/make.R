# Writes data/*.csv and relationship.json: Rscript make.R
# An animal model on simulated data. The relationship and the plain fits are pedigreemm's; its
# optimizer is the Nelder-Mead of its day, so every criterion is minimised again in lme4's own
# deviance function with the factor folded into Z, and polished by Newton's method. Random slopes,
# which pedigreemm does not know, are had by the second way only.
suppressMessages({library(lme4); library(pedigreemm); library(jsonlite); library(numDeriv)})
RNGversion("4.2.0"); set.seed(11)

# A pedigree over four generations, with inbreeding and unknown parents, in no particular order.
n <- 90
id <- sprintf("p%03d", seq_len(n))
sire <- dam <- rep(NA_integer_, n)
for (i in 16:n) {
  pool <- seq_len(i - 1)
  sire[i] <- if (runif(1) < 0.9) sample(rev(pool)[seq_len(min(18, i - 1))], 1) else NA
  dam[i] <- if (runif(1) < 0.8) sample(pool, 1) else NA
}
ped <- pedigree(sire = id[sire], dam = id[dam], label = id)
A <- as.matrix(getA(ped))
stopifnot(any(diag(A) > 1))
write.csv(data.frame(id = id, sire = id[sire], dam = id[dam])[sample(n), ],
          "data/pedigree.csv", row.names = FALSE, na = "")

# Seventy of them have records: one to four each, in eight herds.
L <- t(chol(A))
seen <- sort(sample(n, 70))
times <- sample(1:4, length(seen), replace = TRUE)
animal <- sample(rep(seen, times))
m <- length(animal)
x <- round(rnorm(m), 3)
herd <- sample(8, m, replace = TRUE)
b <- L %*% cbind(rnorm(n, sd = 1.2), rnorm(n, sd = 0.6))
y <- round(3 + x + b[animal, 1] + b[animal, 2] * x + rnorm(8, sd = 0.8)[herd] + rnorm(m), 3)
w <- round(runif(m, 0.5, 2), 2)
d <- data.frame(y, x, w, animal = id[animal], herd = paste0("h", herd))
write.csv(d, "data/records.csv", row.names = FALSE)
d$animal <- factor(d$animal); d$herd <- factor(d$herd)

folded <- function(formula, reml, weights = NULL) {
  parts <- if (is.null(weights)) lFormula(formula, d, REML = reml) else
    lFormula(formula, d, REML = reml, weights = w)
  re <- parts$reTrms
  members <- levels(d$animal)
  root <- t(chol(A[members, members]))
  term <- match("animal", names(re$cnms))
  rows <- (re$Gp[term] + 1):re$Gp[term + 1]
  big <- kronecker(root, diag(length(re$cnms[[term]])))
  re$Zt[rows, ] <- as(t(big) %*% as.matrix(re$Zt[rows, ]), "CsparseMatrix")
  parts$reTrms <- re
  devfun <- do.call(mkLmerDevfun, parts)
  best <- list(value = Inf)
  for (start in list(re$theta, 0.5 * re$theta)) {
    o <- nloptwrap(start, devfun, re$lower, rep(Inf, length(start)),
                   control = list(xtol_abs = 1e-12, ftol_abs = 1e-14, maxeval = 1e5))
    if (o$fval < best$value) best <- list(par = o$par, value = o$fval)
  }
  for (i in 1:4) {
    g <- grad(devfun, best$par); H <- hessian(devfun, best$par)
    step <- best$par - solve(H, g)
    if (devfun(step) <= best$value + 1e-9) best <- list(par = step, value = devfun(step))
  }
  devfun(best$par)
  env <- environment(devfun)
  mm <- mkMerMod(env, list(par = best$par, fval = best$value, conv = 0), re, fr = parts$fr)
  b <- matrix(big %*% mm@pp$b(1)[rows], ncol = length(re$cnms[[term]]), byrow = TRUE)
  vc <- as.data.frame(VarCorr(mm))
  list(formula = deparse(formula), reml = reml, weights = !is.null(weights),
       criterion = best$value, theta = best$par, sigma = sigma(mm),
       fixef = unname(fixef(mm)), vcov = unname(as.matrix(vcov(mm))),
       members = members, modes = b,
       variances = vc[is.na(vc$var2), c("grp", "var1", "vcov")])
}

models <- list(
  simple_reml = folded(y ~ x + (1 | animal), TRUE),
  simple_ml = folded(y ~ x + (1 | animal), FALSE),
  herds_reml = folded(y ~ x + (1 | animal) + (1 | herd), TRUE),
  slopes_reml = folded(y ~ x + (x | animal) + (1 | herd), TRUE),
  slopes_ml = folded(y ~ x + (x | animal) + (1 | herd), FALSE),
  weights_reml = folded(y ~ x + (1 | animal) + (1 | herd), TRUE, w)
)
p <- pedigreemm(y ~ x + (1 | animal) + (1 | herd), d, REML = TRUE, pedigree = list(animal = ped))
plain <- list(criterion = unname(p@devcomp$cmp["REML"]), fixef = unname(fixef(p)),
              variances = as.data.frame(VarCorr(p))[, c("grp", "vcov")])
stopifnot(abs(plain$criterion - models$herds_reml$criterion) < 1e-4)
out <- list(
  R = R.version.string, lme4 = as.character(packageVersion("lme4")),
  pedigreemm = as.character(packageVersion("pedigreemm")),
  labels = id, A = A, inbreeding = inbreeding(ped), pedigreemm_fit = plain, models = models
)
write_json(out, "relationship.json", digits = I(15), auto_unbox = TRUE, dataframe = "rows")
